package fsm

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"herosup/events"
	"herosup/events/embedded"
)

// bed is a keeper on the real embedded server. dispatch and the executor are
// played by the test, each on a connection of its own as in the daemon.
type bed struct {
	t                  *testing.T
	srv                *embedded.Server
	dispatch, executor *events.Bus
	// heard is everything the keeper says: facts and orders.
	heard  *events.Subscription
	keeper *Keeper
	stop   context.CancelFunc
	done   chan error
	buses  []*events.Bus
}

// bubble runs f with a keeper of these pools in a bubble of fake time, where ten
// idle minutes take no time at all.
func bubble(t *testing.T, pools map[string]PoolConfig, f func(b *bed)) {
	t.Helper()
	emptyTimerPool()
	defer emptyTimerPool()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		srv, err := embedded.Start(embedded.Config{Dir: dir, NoListen: true, State: "0a1b2c3d"})
		if err != nil {
			t.Fatal(err)
		}
		b := &bed{t: t, srv: srv}
		defer b.tearDown()
		b.dispatch, b.executor = b.bus("dispatch"), b.bus("zinit")
		watch := b.bus("watch")
		b.heard, err = watch.Subscribe(events.FactsOf("actor"), events.FactsOf("system"),
			events.OrdersOf("process", events.LocalNode), events.OrdersOf("intake", events.LocalNode), "int.process.observe.local")
		if err != nil {
			t.Fatal(err)
		}
		b.run(pools)
		f(b)
	})
}

// emptyTimerPool drops the timers that nats.go keeps in a process-wide pool: one
// made in a bubble must not be used in the next. Stopping a micro service makes
// one. A sync.Pool is empty after two collections.
func emptyTimerPool() {
	runtime.GC()
	runtime.GC()
}

func (b *bed) bus(name string) *events.Bus {
	b.t.Helper()
	bus, err := b.srv.Connect(name)
	if err != nil {
		b.t.Fatal(err)
	}
	b.buses = append(b.buses, bus)
	return bus
}

// run starts a keeper; a second call is a daemon that starts again.
func (b *bed) run(pools map[string]PoolConfig) {
	b.t.Helper()
	k, err := New(Config{Pools: pools}, b.bus("fsm"), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	<-k.Ready()
	b.keeper, b.stop, b.done = k, cancel, done
}

func (b *bed) halt() {
	b.t.Helper()
	b.stop()
	if err := <-b.done; err != nil {
		b.t.Error(err)
	}
	b.stop = nil
}

func (b *bed) tearDown() {
	if b.stop != nil {
		b.halt()
	}
	for _, bus := range b.buses {
		bus.Close()
	}
	b.srv.Stop()
	b.pass(time.Second) // nats.go looks ten times a second whether a service has drained
}

func (b *bed) say(bus *events.Bus, list ...events.Event) {
	b.t.Helper()
	for _, e := range list {
		if err := bus.Publish(e); err != nil {
			b.t.Fatal(err)
		}
	}
	synctest.Wait()
}

// ask sends a command and gives its answer or refusal as one line.
func (b *bed) ask(e events.Event) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Second)
	defer cancel()
	var a Answer
	if err := b.dispatch.Request(ctx, e, &a); err != nil {
		return err.Error()
	}
	if a.Already {
		return fmt.Sprintf("%s %s already", a.Actor, a.State)
	}
	return fmt.Sprintf("%s %s", a.Actor, a.State)
}

// up brings an actor to idle with its first process.
func (b *bed) up(n int) {
	b.t.Helper()
	id := fmt.Sprintf("bash_%d", n)
	b.ask(events.ActorStart{Actor: id})
	b.say(b.executor,
		events.ProcessStarted{Pool: "bash", Actor: id, Incarnation: life(n)},
		events.ProcessReady{Pool: "bash", Actor: id, Incarnation: life(n)})
	b.quiet()
}

func (b *bed) pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

// quiet waits until nobody has anything left to do and gives what was heard
// since, a line each.
func (b *bed) quiet() string {
	var lines []string
	for _, m := range b.messages() {
		lines = append(lines, short(m.Event))
	}
	return strings.Join(lines, "; ")
}

func (b *bed) messages() []events.Message {
	b.t.Helper()
	synctest.Wait()
	var list []events.Message
	for {
		select {
		case raw := <-b.heard.C:
			m, err := b.heard.Open(raw)
			if err != nil {
				b.t.Fatal(err)
			}
			if m.Source == "herosup/0a1b2c3d/fsm" {
				list = append(list, m)
			}
		default:
			return list
		}
	}
}

func (b *bed) expect(got, want string) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("got  %s\nwant %s", got, want)
	}
}

func short(e events.Event) string {
	switch e := e.(type) {
	case events.ActorStateChanged:
		return fmt.Sprintf("%s %s->%s", e.Actor, e.From, e.To)
	case events.CommandRejected:
		return fmt.Sprintf("rejected %s %s", e.Command, e.Code)
	case events.StartProcess:
		return "start " + e.Actor
	case events.StopProcess:
		return "stop " + e.Actor
	case events.KillProcess:
		return "kill " + e.Actor
	case events.RestartProcess:
		return "restart " + e.Actor
	case events.CloseIntake:
		return "close " + e.Actor
	case events.OpenIntake:
		return "open " + e.Actor
	case events.PingIntake:
		return "ping " + e.Actor
	case events.ObserveProcesses:
		return "observe"
	case events.Resynchronised:
		return "resynchronised"
	}
	return fmt.Sprintf("%T", e)
}
