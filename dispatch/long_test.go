package dispatch

import (
	"context"
	"net"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go/jetstream"

	goactor "herosup/dispatch/actor"
	"herosup/dispatch/store"
	"herosup/events"
	"herosup/events/embedded"
)

// bubble is a bed in which time is the test's: three hours pass in seconds. Real in it: the component with all its loops,
// those that take jobs from anybody at their own paces, the log and the bus, the scripts, the store and the actors. Not: the
// clock; sockets, of which a bubble can not wait, so both servers are reached by pipes in memory; and Redis, which is the
// embedded one.
func bubble(t *testing.T, f func(*bed)) {
	t.Helper()
	dir := t.TempDir()
	ats.Register() // the bus server's shared ticker must not be born in a bubble
	defer ats.Unregister()
	// nats.go keeps timers in a process-wide pool; one of a bubble must not be used outside of it or in the next one. A
	// sync.Pool is empty after two collections.
	empty := func() { runtime.GC(); runtime.GC() }
	empty()
	defer empty()
	synctest.Test(t, func(t *testing.T) {
		srv, err := embedded.Start(embedded.Config{Dir: dir, NoListen: true, State: "0a1b2c3d", SyncInterval: 1000 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			srv.Stop()
			pause(context.Background(), time.Second) // of the bubble: the server's writer of the history may look once more
		}()
		mini := miniredis.NewMiniRedis()
		defer mini.Close()
		b := &bed{TB: t, nats: srv, redis: &redisServer{url: "redis://bubble", options: func(o *store.Options) {
			o.Dial = func(context.Context, string, string) (net.Conn, error) { return mini.Dial() }
		}}}
		b.store, b.bus = b.redis.open(t), b.connect("test")
		if err := events.EnsureStreams(b.soon(), b.bus); err != nil {
			t.Fatal(err)
		}
		if b.js, err = jetstream.New(b.bus.Conn()); err != nil {
			t.Fatal(err)
		}
		b.told = b.record()
		b.cfg = Config{
			State: "0a1b2c3d", Pools: []Pool{{Name: "bash", Types: []string{"bash"}}},
			MeasureEvery: time.Minute, LookEvery: time.Minute, PingEvery: time.Minute,
		} // counts and questions, nothing that takes a job
		f(b)
	})
}

// A job that runs for three hours, a thousand leases, in an actor that lives is run once: no clock takes it away, though
// another actor is idle all the time and would take it at once.
func TestAJobOfThreeHoursRunsOnce(t *testing.T) {
	const long = 3 * time.Hour
	bubble(t, func(b *bed) {
		c := b.up()
		begun := make(chan goactor.Job, 10)
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() {
			ended <- goactor.Run(ctx, goactor.Config{Store: b.redis.open(b), Name: "bash_1", Type: "bash", Handler: func(ctx context.Context, j goactor.Job) goactor.Outcome {
				begun <- j
				if !pause(ctx, long) {
					return goactor.Failed("cut short", context.Cause(ctx).Error())
				}
				return goactor.Outcome{Output: "done"}
			}})
		}()
		defer func() {
			stop()
			if err := <-ended; err != nil {
				b.Error(err)
			}
		}()
		id, at := b.submit("x", Options{}), time.Now()
		<-begun
		b.actor("bash_2", func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
			b.Errorf("job %s was given to another after %v", j.ID, time.Since(at))
			return store.Outcome{}, true
		})
		for range long / time.Minute {
			pause(b.Context(), time.Minute)
			late, err := b.store.Daemon(c.epoch.Load()).Overdue(b.Context(), []string{"bash"})
			if err != nil || slices.ContainsFunc(late, func(l store.Lease) bool { return l.ID == id }) {
				b.Fatalf("after %v the lease has run out: %v %v", time.Since(at), late, err)
			}
		}
		pause(b.Context(), time.Minute)
		synctest.Wait()
		rec, err := b.store.Job(b.soon(), id)
		if err != nil || rec.Status != store.StatusFinished || rec.Output != "done" || rec.Attempts != 1 || len(begun) > 0 {
			b.Errorf("%+v %v, begun %d times more", rec, err, len(begun))
		}
		if life := told(b, id); life != "q s1 e" {
			b.Errorf("told %q", life)
		}
	})
}
