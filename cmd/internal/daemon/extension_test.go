package daemon

import (
	"encoding/json"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"herosup/cmd/internal/config"
	"herosup/zinit"
)

// stranger is a zinit that answers each call with another's description.
func stranger(t *testing.T) *zinit.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "hz") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "z.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for d := json.NewDecoder(c); ; {
					var req struct {
						ID     json.RawMessage
						Method string
					}
					if d.Decode(&req) != nil {
						return
					}
					result := "{}"
					if req.Method == "rpc.discover" {
						result = `"{\"info\":{\"title\":\"zinit\"}}"`
					}
					_, _ = c.Write([]byte(`{"jsonrpc":"2.0","id":` + string(req.ID) + `,"result":` + result + "}\n"))
				}
			}()
		}
	}()
	z, err := zinit.Dial(t.Context(), l.Addr().String(), zinit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(z.Close)
	return z
}

// Bounds that the zinit in use can not set are refused; without any it will do.
func TestBoundsNeedOurZinit(t *testing.T) {
	d := &Daemon{zinit: stranger(t), socket: "/run/zinit.sock"}
	_, err := d.extension(t.Context(), "bash", config.Pool{Limits: config.Limits{Files: 64}}, "/bin/sh")
	if err == nil || !strings.Contains(err.Error(), "pools.bash: user and limits need our own zinit, and /run/zinit.sock is another") {
		t.Errorf("limits: %v", err)
	}
	if _, err := d.extension(t.Context(), "bash", config.Pool{}, "/bin/sh"); err != nil {
		t.Errorf("no limits: %v", err)
	}
	d.ownZinit = true
	e, err := d.extension(t.Context(), "bash", config.Pool{Limits: config.Limits{Memory: "64M", Files: 64, CPU: 2}}, "/bin/sh")
	if err != nil || e.Memory != 64<<20 || e.Rlimits["nofile"] != 64 || e.CPU != 2 {
		t.Errorf("with ours: %+v, %v", e, err)
	}
}

// A user who could not run the program or reach Redis is refused at the start,
// with the place that keeps him out.
func TestUserHasToReachWhatHeNeeds(t *testing.T) {
	if _, err := user.Lookup("nobody"); err != nil {
		t.Skip("no user nobody here")
	}
	d := &Daemon{ownZinit: true}
	pool := config.Pool{User: "nobody"}
	if _, err := d.extension(t.Context(), "p", pool, "/bin/sh"); err != nil {
		t.Errorf("a program for all: %v", err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // the point of it
		t.Fatal(err)
	}
	program := filepath.Join(dir, "x")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil { //nolint:gosec // the point of it
		t.Fatal(err)
	}
	if _, err := d.extension(t.Context(), "p", pool, program); err == nil || !strings.Contains(err.Error(), dir+" has mode 0700") {
		t.Errorf("a program in a private folder: %v", err)
	}
	if _, err := d.extension(t.Context(), "p", pool, program+"-gone"); err != nil {
		t.Errorf("a program that is not there now: %v", err)
	}
	d.redis.URL = "unix://" + program
	if _, err := d.extension(t.Context(), "p", pool, "/bin/sh"); err == nil || !strings.Contains(err.Error(), "redis.url") {
		t.Errorf("a private Redis: %v", err)
	}
	d.redis.URL = "unix://" + filepath.Join(dir, "to-come.sock")
	if _, err := d.extension(t.Context(), "p", pool, "/bin/sh"); err == nil || !strings.Contains(err.Error(), dir+" has mode 0700") {
		t.Errorf("a Redis that is still to be started: %v", err)
	}
	d.redis.URL = "unix:///tmp/herosup-to-come.sock"
	if _, err := d.extension(t.Context(), "p", pool, "/bin/sh"); err != nil {
		t.Errorf("a Redis that is still to be started, where all may be: %v", err)
	}
	pool.User = "no-such-user"
	if _, err := d.extension(t.Context(), "p", pool, "/bin/sh"); err == nil || !strings.Contains(err.Error(), "no user") {
		t.Errorf("nobody: %v", err)
	}
}
