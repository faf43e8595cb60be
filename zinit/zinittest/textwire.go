package zinittest

import (
	"io"
	"strings"
	"testing"

	"herosup/zinit"
)

// one sends a command over a connection of its own, and returns all that comes.
func one(t *testing.T, socket, command string) string {
	t.Helper()
	p := newPeer(t, socket)
	p.say(command)
	answer, err := io.ReadAll(p.conn)
	if err != nil {
		t.Fatalf("%q: %v after %q", command, err, answer)
	}
	return string(answer)
}

// testTextWire is what clients of the text dialect see byte by byte.
func testTextWire(t *testing.T, k *kit) {
	name := k.up(Child(t, "say", "hello"))
	k.awaitStatus(name, running)
	k.awaitLine(name, "hello")
	for command, want := range map[string]string{
		"\n":                        `{"state":"error","body":"unknown command"}`,
		"'\n":                       `{"state":"error","body":"invalid command syntax"}`,
		"status no-such\n":          `{"state":"error","body":"service name \"no-such\" unknown"}`,
		"status\n":                  `{"state":"error","body":"unknown command 'status' or wrong arguments count"}`,
		"restart " + name + "\n":    `{"state":"error","body":"unknown command 'restart' or wrong arguments count"}`,
		"log of it all\n":           `{"state":"error","body":"invalid log command arguments"}`,
		"start '" + name + "'\n":    `{"state":"ok","body":null}`,
		"monitor " + name + "\n":    `{"state":"error","body":"service \"` + name + `\" already monitored"}`,
		"forget " + name + "\n":     `{"state":"error","body":"service \"` + name + `\" is up"}`,
		"kill " + name + " SIGNO\n": `{"state":"error","body":"EINVAL: Invalid argument"}`,
		"monitor no-such\n":         `{"state":"error","body":"failed to load service config"}`,
	} {
		if got := one(t, k.socket, command); got != want {
			t.Errorf("%q: got %s, want %s", command, got, want)
		}
	}
	for _, command := range []string{"list\n", "list and more\n", "list"} {
		p := newPeer(t, k.socket)
		p.say(command)
		if !strings.HasSuffix(command, "\n") {
			p.endInput()
		}
		p.hears(`{"state":"ok","body":{`, `"`+name+`":"Running"`)
	}
	if got := one(t, k.socket, "status "+name+"\n"); !strings.Contains(got, `"after":{}`) || !strings.Contains(got, `"target":"Up"`) {
		t.Errorf("status: %s", got)
	}
	if got := one(t, k.socket, "log snapshot\n"); !strings.Contains(got, "[+] "+name+": hello\n") {
		t.Errorf("log snapshot: %q", got)
	}
}

// testStubborn: the client itself sees to the end of what ignores its signal,
// for a server of this dialect only sends one.
func testStubborn(t *testing.T, k *kit) {
	svc := Child(t, "ignore", "SIGTERM")
	svc.ShutdownTimeout = zinit.NoGrace
	name := k.up(svc)
	k.awaitLine(name, "ready")
	k.ok(k.Stop(t.Context(), name))
	if s, err := k.Status(t.Context(), name); err != nil || s.PID != 0 || s.State.Signal != "SIGKILL" {
		t.Errorf("after the stop: %+v, %v", s, err)
	}
	k.ok(k.Forget(t.Context(), name))
}
