package server_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"herosup/zinit"
	"herosup/zinit/zinittest"
)

var (
	rounds      = flag.Int("rounds", 200, "rounds of the torture")
	tortureSeed = flag.Uint64("torture-seed", 0, "its seed; 0 takes one from the clock and prints it")
)

// The torture: children of every bad habit are started, stopped, killed and
// frozen, and the server is killed in the middle of that. After each round
// nothing of the service lives, and it never ran twice at a time; at the end the
// server has what it had at the beginning.
func TestTorture(t *testing.T) {
	seed := *tortureSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) //nolint:gosec // any number is good
	}
	t.Logf("seed %d: repeat with -run TestTorture -rounds %d -torture-seed %d", seed, *rounds, seed)
	h, c := newHeirs(t)
	x := &torture{heirs: h, client: c, rand: rand.New(rand.NewPCG(seed, 1)), hits: map[string]int{}, ran: map[string]int{}}
	if testing.Verbose() {
		defer func() { t.Logf("rounds of each kind: %v; the server was killed in: %v", x.ran, x.hits) }()
	}
	for n := range *rounds {
		x.round(n)
	}
	x.nothingIsLost()
}

// The same where numbers of processes are given again after some hundreds: who
// trusts a number meets a stranger. Each round starts a dozen processes and
// threads.
func TestTortureWithReusedPIDs(t *testing.T) {
	const pids = 700 // of which the first 300 are given once only
	n := max(10, *rounds/4)
	out, ok := zinittest.Namespaced(t, pids, "-test.run", "^TestTorture$", "-test.v", "-rounds", strconv.Itoa(n))
	if !ok {
		t.Skip("NO RIGHTS: reuse of PIDs was not forced")
	}
	if !strings.Contains(out, "--- PASS: TestTorture") {
		t.Errorf("the torture did not pass:\n%s", out)
	}
}

type torture struct {
	*heirs
	client *zinit.Client
	rand   *rand.Rand
	hits   map[string]int // kills of the server by the step that was under way
	ran    map[string]int // rounds by the kind of child
}

// kinds are the children, by their words.
var kinds = []string{
	"say x", "exit 0", "exit 3", "ignore SIGTERM", "fork", "escape", "escape-exit", "orphan", "flood", "bytes",
	"close", "reexec 5", "freeze", "hydra", "deaf-family", "deep",
}

// deed is something that is done to a service.
type deed struct {
	name string
	do   func(ctx context.Context, x *torture, c *zinit.Client, name string) error
}

var deeds = []deed{
	{"stop", func(ctx context.Context, _ *torture, c *zinit.Client, n string) error { return c.Stop(ctx, n) }},
	{"start", func(ctx context.Context, _ *torture, c *zinit.Client, n string) error { return c.Start(ctx, n) }},
	{"restart", func(ctx context.Context, _ *torture, c *zinit.Client, n string) error {
		return errors.Join(c.Stop(ctx, n), c.Start(ctx, n))
	}},
	{"kill", func(ctx context.Context, _ *torture, c *zinit.Client, n string) error {
		return c.Kill(ctx, n, "SIGKILL")
	}},
	{"freeze", func(ctx context.Context, _ *torture, c *zinit.Client, n string) error {
		return c.Kill(ctx, n, "SIGSTOP")
	}},
	{"kill the main process alone", func(ctx context.Context, _ *torture, c *zinit.Client, n string) error {
		s, err := c.Status(ctx, n)
		if err == nil && s.PID != 0 {
			_ = syscall.Kill(s.PID, syscall.SIGKILL)
		}
		return err
	}},
}

// round is the life of one service.
func (x *torture) round(n int) {
	x.t.Helper()
	name := "s" + strconv.Itoa(n)
	kind := kinds[x.rand.IntN(len(kinds))]
	x.ran[kind]++
	once := filepath.Join(x.t.TempDir(), "once")
	svc := zinittest.Child(x.t, strings.Fields(kind)...)
	svc.Env[zinittest.OnceVar], svc.Env["TORTURE"] = once, name
	svc.StopTimeout, svc.ShutdownTimeout = 30*time.Millisecond, time.Second
	svc.Oneshot = x.rand.IntN(4) == 0
	ok(x.t, x.client.Create(x.t.Context(), name, svc))
	did := []string{kind}
	for _, d := range append([]deed{{"monitor", func(ctx context.Context, _ *torture, c *zinit.Client, n string) error {
		return c.Monitor(ctx, n)
	}}}, x.some()...) {
		did = append(did, d.name)
		x.deed(name, d)
	}
	x.end(name, did)
	if b, err := os.ReadFile(once); err == nil && len(b) > 0 {
		x.t.Errorf("%s (%s): %s", name, strings.Join(did, ", "), b)
	}
}

// some are one to three deeds.
func (x *torture) some() (some []deed) {
	for range 1 + x.rand.IntN(3) {
		some = append(some, deeds[x.rand.IntN(len(deeds))])
	}
	return some
}

// deed does it, and in every fourth case kills the server meanwhile or at once
// behind it.
func (x *torture) deed(name string, d deed) {
	x.t.Helper()
	if x.rand.IntN(4) != 0 {
		if err := d.do(x.t.Context(), x, x.client, name); err != nil && !refusal(err) {
			x.t.Fatalf("%s %s: %v", d.name, name, err)
		}
		return
	}
	x.hits[d.name]++
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.do(x.t.Context(), x, x.client, name) // of a server that dies
	}()
	<-time.After(time.Duration(x.rand.IntN(4000)) * time.Microsecond)
	x.kill()
	<-done
	x.client = x.start()
}

// refusal reports whether the server said no, as to a kill of what is down.
func refusal(err error) bool {
	_, refused := errors.AsType[*zinit.Error](err)
	return refused
}

// end stops the service, after which nothing of it may live.
func (x *torture) end(name string, did []string) {
	x.t.Helper()
	ctx := x.t.Context()
	story := strings.Join(did, ", ")
	if err := x.client.Stop(ctx, name); err != nil && !errors.Is(err, zinit.ServiceNotFound) {
		x.t.Fatalf("%s (%s): stop: %v", name, story, err)
	}
	for _, p := range livingOf(x.t, name) {
		x.t.Errorf("%s (%s): %s lives after the stop", name, story, p)
	}
	if err := x.client.Forget(ctx, name); err != nil && !errors.Is(err, zinit.ServiceNotFound) {
		x.t.Fatalf("%s (%s): forget: %v", name, story, err)
	}
	if err := x.client.Delete(ctx, name); err != nil {
		x.t.Fatalf("%s (%s): delete: %v", name, story, err)
	}
}

// livingOf are the processes of a round that run anything, as ps would show them.
func livingOf(t testing.TB, name string) (found []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	ok(t, err)
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ") // of a zombie it is empty
		if err == nil && strings.Contains("\x00"+string(env), "\x00TORTURE="+name+"\x00") {
			args, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
			stat, _ := os.ReadFile("/proc/" + e.Name() + "/stat")
			found = append(found, fmt.Sprintf("%s (%s)", strings.ReplaceAll(string(args), "\x00", " "), stat))
		}
	}
	return found
}

// nothingIsLost compares the server after all that with a new one.
func (x *torture) nothingIsLost() {
	t := x.t
	t.Helper()
	fresh := zinittest.Start(t)
	_ = fresh.Client(t)
	onlyChild(t, fresh.PID())
	zinittest.Eventually(t, "the server is as it was", func() error {
		if n, want := x.server.Descriptors(t), fresh.Descriptors(t); n > want+2 {
			return fmt.Errorf("%d descriptors, a new server has %d", n, want)
		}
		if n, want := x.server.Goroutines(t), fresh.Goroutines(t); n > want+4 {
			return fmt.Errorf("%d goroutines, a new server has %d", n, want)
		}
		if children := childrenOf(t, x.server.PID()); len(children) != 1 { // the keeper
			return fmt.Errorf("children %v", children)
		}
		for _, dir := range []string{".running", ".running/out.d"} {
			entries, err := os.ReadDir(filepath.Join(x.dir, dir))
			ok(t, err)
			for _, e := range entries {
				spare := strings.HasSuffix(e.Name(), ".spare") && len(entries) <= 40 // what is in stock
				if !spare && !strings.HasPrefix(e.Name(), "log.") && e.Name() != "reader.lock" && e.Name() != "out.d" {
					return fmt.Errorf("%s is left", e.Name())
				}
			}
		}
		return nil
	})
}
