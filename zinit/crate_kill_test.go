package zinit_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/wire"
	"herosup/zinit/zinittest"
)

var (
	crateKills    = flag.Int("crate-kills", 60, "kills of an executor over the zinit of crates.io")
	crateKillSeed = flag.Uint64("crate-kill-seed", 0, "their seed; 0 takes one from the clock and prints it")
)

// cut stands between a client and its zinit. From the moment at which it is cut nothing
// passes any more: for the zinit that is the death of the client.
type cut struct {
	socket, through string
	// lives is told of each request before it is passed on; false cuts there.
	lives func(method string) bool
	// late: the last request is done all the same, and its answer lost.
	late bool
	// refuses has a request answered with this error, and not passed on; nil: none is.
	refuses func(method string) (message string)

	listener net.Listener
	serving  sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	dead  bool
}

func newCut(t *testing.T, through string, late bool, lives func(method string) bool) *cut {
	t.Helper()
	c := &cut{socket: filepath.Join(t.TempDir(), "c.sock"), through: through, late: late, lives: lives}
	l, err := wire.Listen(t.Context(), c.socket)
	if err != nil {
		t.Fatal(err)
	}
	c.listener = l
	c.serving.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			c.serving.Go(func() { c.serve(client) })
		}
	})
	t.Cleanup(c.end)
	return c
}

// end cuts, and waits until zinit has done what had reached it.
func (c *cut) end() {
	c.sever()
	_ = c.listener.Close()
	c.serving.Wait()
}

func (c *cut) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("unix", c.through) //nolint:noctx // it is here
	if err != nil || !c.keep(client) {
		return
	}
	defer func() { _ = server.Close() }()
	asks, answers := wire.NewScanner(client), wire.NewScanner(server)
	for {
		msg, err := asks.Next()
		var r wire.Request
		if err != nil || json.Unmarshal(msg, &r) != nil || !c.keep(client) {
			return
		}
		lives := c.lives(r.Method)
		if !lives {
			c.sever()
		}
		if !lives && !c.late {
			return
		}
		if c.refuses != nil {
			if refusal := c.refuses(r.Method); refusal != "" {
				_ = json.NewEncoder(client).Encode(wire.Response{Version: "2.0", ID: r.ID, Error: &wire.Error{Code: int(zinit.InternalError), Message: refusal}})
				continue
			}
		}
		if _, err := server.Write(append(msg, '\n')); err != nil {
			return
		}
		answer, err := answers.Next()
		if err != nil || !lives {
			return
		}
		if _, err := client.Write(append(answer, '\n')); err != nil {
			return
		}
	}
}

// keep reports whether it is not cut.
func (c *cut) keep(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	return !c.dead
}

func (c *cut) sever() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

// An executor over the zinit of crates.io is killed at any step of what it is told to do.
// The next one takes each actor as it is and does what it is told: no actor is lost, none
// runs twice, no start is refused, and in the end nothing is left.
func TestCrateExecutorKilledAtAnyStep(t *testing.T) {
	seed := *crateKillSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) //nolint:gosec // any number is good
	}
	t.Logf("seed %d: repeat with -run %s -crate-kills %d -crate-kill-seed %d", seed, t.Name(), *crateKills, seed)
	m := &mayhem{
		bed: newBedOver(t, zinittest.StartCrate(t, zinittest.Crate(t), t.TempDir())), rand: rand.New(rand.NewPCG(seed, 1)),
		lives: map[string]events.Incarnation{}, once: t.TempDir(),
	}
	t.Cleanup(m.clear)
	for n := range *crateKills {
		m.round(n)
		if t.Failed() {
			return
		}
	}
	m.noneIsLost()
	m.down()
}

// mayhem is a bed, and what the test knows of its actors.
type mayhem struct {
	*bed
	rand  *rand.Rand
	lives map[string]events.Incarnation // those that are up
	once  string                        // folder of the locks that tell two at a time
	word  string                        // of the actors' definition
	cut   int                           // rounds that were
	heard []string                      // what was told since the last executor began
}

var mayhemActors = []string{"work_1", "work_2", "work_3"}

// define makes a definition of the actors, mostly the one before.
func (m *mayhem) define() config {
	if m.word == "" || m.rand.IntN(3) == 0 {
		m.word = fmt.Sprint("word", m.rand.IntN(1000))
	}
	s := zinittest.Child(m.t, "say", m.word)
	s.Env[zinittest.OnceVar] = m.once + "/{actor}"
	return func(c *zinit.ExecutorConfig) {
		c.Pools = map[string]zinit.Template{pool: {Exec: s.Exec, Env: s.Env, StopTimeout: time.Second}}
	}
}

// anOrder is one for this actor, as it is now.
func (m *mayhem) anOrder(one string) events.Event {
	node, life := events.LocalNode, m.lives[one]
	if life.IsZero() {
		return events.StartProcess{Node: node, Actor: one, Pool: pool}
	}
	return []events.Event{
		events.StopProcess{Node: node, Actor: one, Pool: pool, Incarnation: life},
		events.RestartProcess{Node: node, Actor: one, Pool: pool, Incarnation: life},
		events.KillProcess{Node: node, Actor: one, Pool: pool, Incarnation: life, Down: true},
		events.KillProcess{Node: node, Actor: one, Pool: pool, Incarnation: life, Replace: true},
	}[m.rand.IntN(4)]
}

// round has an executor killed in the middle of orders, one or one for each actor.
func (m *mayhem) round(n int) {
	m.t.Helper()
	some := slices.Clone(mayhemActors)
	m.rand.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	if m.rand.IntN(3) > 0 {
		some = some[:1]
	}
	step, late, definition := 1+m.rand.IntN(12*len(some)), m.rand.IntN(2) == 0, m.define()
	var left atomic.Int64
	left.Store(math.MaxInt64)
	killed := make(chan struct{})
	c := newCut(m.t, m.zinit.Socket, late, func(string) bool {
		if left.Add(-1) == 0 {
			close(killed)
		}
		return left.Load() > 0
	})
	m.socket = c.socket
	m.execute(definition)
	m.drain()
	left.Store(int64(step))
	var dead []events.Incarnation
	for _, one := range some {
		life, order := m.lives[one], m.anOrder(one)
		dies := !life.IsZero() && m.rand.IntN(2) == 0 // by itself, at any moment of the order
		m.t.Logf("round %d: %T %s (%s, dies: %v), killed at step %d, late: %v, %s", n, order, one, life, dies, step, late, m.word)
		if dies {
			kill(m.t, life.PID, syscall.SIGKILL)
			dead = append(dead, life)
		}
		m.order(order)
	}
	m.told(some[0], killed)
	select {
	case <-killed:
		m.cut++
	default:
	}
	m.stop()
	c.end()
	for _, life := range dead {
		zinittest.Eventually(m.t, life.String()+" is dead", func() error {
			if life.Alive() {
				return errors.New("it lives")
			}
			return nil
		})
	}
	m.drain()

	m.socket = ""
	m.execute(definition)
	for _, one := range some {
		if m.rand.IntN(3) > 0 {
			m.up(one)
		} else {
			m.halt(one)
		}
	}
	m.check()
	m.stop()
	m.drain()
}

// drain forgets what was told.
func (m *mayhem) drain() {
	m.t.Helper()
	m.hearAll()
	m.heard = nil
}

// told waits for a fact about an actor, or the cut.
func (m *mayhem) told(one string, cut <-chan struct{}) (f events.Message) {
	m.t.Helper()
	late := time.After(zinittest.Patience)
	for {
		select {
		case raw := <-m.facts.C:
			f = m.hear(raw)
			if actorOf(f.Event) == one {
				return f
			}
		case <-cut:
			return events.Message{}
		case <-late:
			s, err := m.client.Status(m.t.Context(), prefix+one)
			m.t.Fatalf("nothing is told of %s, of which %v run; zinit has %+v, %v; told before:\n%s",
				one, m.running(one), s, err, strings.Join(m.heard, "\n"))
		}
	}
}

// hear takes in a fact: what runs by now of those that are up. A signal of an executor that
// was killed may end a life after it was told.
func (m *mayhem) hear(raw *nats.Msg) events.Message {
	m.t.Helper()
	f, err := m.facts.Open(raw)
	if err != nil {
		m.t.Fatal(err)
	}
	m.heard = append(m.heard, fmt.Sprintf("%T %+v, caused by %q", f.Event, f.Event, f.CausationID))
	if e, ok := f.Event.(events.ProcessStarted); ok && !m.lives[e.Actor].IsZero() {
		m.lives[e.Actor] = e.Incarnation
	}
	return f
}

// hearAll takes in what was told by now.
func (m *mayhem) hearAll() {
	m.t.Helper()
	for {
		select {
		case raw := <-m.facts.C:
			m.hear(raw)
		default:
			return
		}
	}
}

func actorOf(e events.Event) string {
	switch e := e.(type) {
	case events.ProcessStarted:
		return e.Actor
	case events.ProcessExited:
		return e.Actor
	case events.ProcessObserved:
		return e.Actor
	case events.ProcessStartFailed:
		return e.Actor
	case events.CommandRejected:
		return e.Actor
	}
	return ""
}

// up starts an actor, which is not refused.
func (m *mayhem) up(one string) {
	m.t.Helper()
	start := func() { m.order(events.StartProcess{Node: events.LocalNode, Actor: one, Pool: pool}) }
	start()
	for {
		told := m.told(one, nil)
		switch e := told.Event.(type) {
		case events.ProcessStarted:
			if told.CausationID != "" && e.Incarnation.Alive() {
				m.lives[one] = e.Incarnation
				return
			}
			start() // what is told then is behind the start that is under way
		case events.ProcessStartFailed:
			m.t.Errorf("start %s: %s", one, e.Reason)
			return
		case events.CommandRejected:
			m.t.Errorf("start %s: %s", one, e.Reason)
			return
		}
	}
}

// halt stops an actor, whatever it is.
func (m *mayhem) halt(one string) {
	m.t.Helper()
	delete(m.lives, one)
	var life events.Incarnation
	stop := func() {
		m.order(events.StopProcess{Node: events.LocalNode, Actor: one, Pool: pool, Incarnation: life})
	}
	stop()
	for {
		switch e := m.told(one, nil).Event.(type) {
		case events.ProcessStarted:
			life = e.Incarnation
			stop()
		case events.ProcessExited:
			if e.ByUs {
				return
			}
			life = events.Incarnation{}
			stop() // it was over before the stop, whose end tells nothing then
		case events.ProcessObserved:
			if e.State == "absent" && e.Incarnation.IsZero() {
				return
			}
		case events.CommandRejected:
			m.t.Errorf("stop %s: %s", one, e.Reason)
			return
		}
	}
}

// running are the processes of an actor.
func (m *mayhem) running(one string) (pids []int) {
	all, err := zinit.MarkedPIDs(zinit.Marked(prefix+one, m.folder()))
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}

// check wants each actor to have the one process that it should, and zinit to know it.
func (m *mayhem) check() {
	m.t.Helper()
	for _, one := range mayhemActors {
		want := 0
		if !m.lives[one].IsZero() {
			want = 1
		}
		zinittest.Eventually(m.t, fmt.Sprintf("%s has %d processes", one, want), func() error {
			m.hearAll()
			life, pids := m.lives[one], m.running(one)
			s, err := m.client.Status(m.t.Context(), prefix+one)
			if err != nil && !(want == 0 && strings.Contains(err.Error(), "ServiceNotFound")) {
				return err
			}
			if len(pids) != want || s.PID != life.PID {
				return fmt.Errorf("%v run, want %s; zinit has %+v", pids, life, s)
			}
			return nil
		})
	}
	twice, err := filepath.Glob(m.once + "/*")
	if err != nil {
		m.t.Fatal(err)
	}
	for _, file := range twice {
		if b, err := os.ReadFile(file); err != nil || len(b) > 0 {
			m.t.Errorf("%s: %s %v", filepath.Base(file), b, err)
		}
	}
}

// noneIsLost ends each process behind zinit's back, which starts the next.
func (m *mayhem) noneIsLost() {
	m.t.Helper()
	for one, life := range m.lives {
		_ = syscall.Kill(life.PID, syscall.SIGKILL)
		zinittest.Eventually(m.t, one+" is started again", func() error {
			s, err := m.client.Status(m.t.Context(), prefix+one)
			if err == nil && (s.PID == 0 || s.PID == life.PID) {
				err = fmt.Errorf("%+v", s)
			}
			return err
		})
	}
}

// down is what herosup down --stop-actors does.
func (m *mayhem) down() {
	m.t.Helper()
	m.t.Logf("cut in %d of %d rounds", m.cut, *crateKills)
	all, err := m.client.List(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	for name := range all {
		if err := m.client.StopInItsTime(m.t.Context(), name); err != nil {
			m.t.Errorf("stop %s: %v", name, err)
		}
	}
	for name := range all {
		if err := m.client.Remove(m.t.Context(), name); err != nil {
			m.t.Errorf("remove %s: %v", name, err)
		}
	}
	if all, err := m.client.List(m.t.Context()); err != nil || len(all) > 0 {
		m.t.Errorf("left: %v, %v", all, err)
	}
	for _, one := range mayhemActors {
		if pids := m.running(one); len(pids) > 0 {
			m.t.Errorf("%s runs: %v", one, pids)
		}
	}
	if left, err := filepath.Glob(m.zinit.Dir + "/*.toml"); err != nil || len(left) > 0 {
		m.t.Errorf("left: %v, %v", left, err)
	}
}

// clear ends what a failed test has left.
func (m *mayhem) clear() {
	for _, one := range mayhemActors {
		for _, pid := range m.running(one) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
