package dispatch

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch/store"
	"herosup/events"
)

// rollBack leaves the log the first of its messages, as a power cut does that came before the others were on the disk.
func (b *bed) rollBack(keep int) {
	b.Helper()
	s, err := b.js.Stream(b.soon(), events.JobsStream)
	if err != nil {
		b.Fatal(err)
	}
	info := s.CachedInfo()
	var kept []*nats.Msg
	for seq := info.State.FirstSeq; len(kept) < keep; seq++ {
		m, err := s.GetMsg(b.soon(), seq)
		if err != nil {
			b.Fatal(err)
		}
		delete(m.Header, jetstream.MsgIDHeader)
		kept = append(kept, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	}
	if err := b.js.DeleteStream(b.soon(), events.JobsStream); err != nil {
		b.Fatal(err)
	}
	cfg := info.Config
	cfg.FirstSeq = info.State.FirstSeq
	if _, err := b.js.CreateStream(b.soon(), cfg); err != nil {
		b.Fatal(err)
	}
	for _, m := range kept {
		if _, err := b.js.PublishMsg(b.soon(), m); err != nil {
			b.Fatal(err)
		}
	}
}

// A log that comes back without its end, of which Redis has more, loses nothing of what Redis has, and takes nothing without running it:
// neither what was submitted before the daemon saw it, nor what comes then; and no end of a job takes another's message out of it.
func TestALogThatHasLostItsEnd(t *testing.T) {
	for _, bucket := range []string{"whole", "behind", "lost"} { // what it says of Redis' epoch
		for _, more := range []int{0, 20} { // and more than it had lost came in between
			logHasLostItsEnd(t, bucket, more)
		}
	}
}

func logHasLostItsEnd(t *testing.T, bucket string, more int) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		first := b.up()
		var old []string
		for n := range 10 {
			old = append(old, b.submit("old", Options{ID: fmt.Sprint("old-", n), Delay: time.Hour}))
		}
		for _, id := range old {
			expect(b, func(e events.JobQueued) bool { return e.Job == id })
		}
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		b.rollBack(4)
		switch bucket {
		case "behind":
			if _, _, err := b.store.RaiseEpoch(b.soon(), 7); err != nil {
				t.Fatal(err)
			}
		case "lost":
			if err := b.js.DeleteKeyValue(b.soon(), events.StateBucket); err != nil {
				t.Fatal(err)
			}
			if _, err := b.js.CreateKeyValue(b.soon(), jetstream.KeyValueConfig{Bucket: events.StateBucket}); err != nil {
				t.Fatal(err)
			}
		}
		between := b.submit("between", Options{ID: "between", Delay: time.Hour}) // under the number that old-4 has had
		for n := range more {
			b.submit("between", Options{ID: fmt.Sprint("more-", n), Delay: time.Hour})
		}
		b.up()
		b.actor("bash_1", func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
			return store.Outcome{Output: j.Script}, true
		})
		refilled := expect(b, func(e events.RedisRefilled) bool { return e.Reason != firstStart })
		if bucket == "whole" && refilled.Reason != lostEnd {
			t.Errorf("refilled for: %s", refilled.Reason)
		}
		after := b.submit("after", Options{ID: "after"})
		expect(b, func(e events.JobEnded) bool { return e.Job == after && e.Outcome == events.Finished })
		// Who had the number first ends, and leaves the other's message alone.
		for _, id := range old {
			if _, refused := b.ask("hero.cmd.job.cancel."+id, nil, ""); refused != nil {
				t.Fatalf("%+v", refused)
			}
			expect(b, func(e events.JobCancelled) bool { return e.Job == id })
		}
		b.eventually("the log has those that have not ended", func() bool { return b.logged() == uint64(1+more) })
		// Only the log has it then.
		if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
			t.Fatal(err)
		}
		expectNth(b, 2, func(e events.RedisRefilled) bool { return e.Reason != firstStart })
		for _, id := range append([]string{between}, idsOf("more-", more)...) {
			if rec, err := b.store.Job(b.soon(), id); err != nil || rec.Status.Ended() {
				t.Errorf("%s: %+v, %v", id, rec, err)
			}
		}
		if n := count(b, func(e events.CommandRejected) bool { return true }); n != 0 {
			t.Errorf("%d refusals", n)
		}
	})
}

func idsOf(prefix string, n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint(prefix, i))
	}
	return ids
}

// The same of a server of one's own that comes back while the daemon is there.
func TestALogThatHasLostItsEndMeanwhile(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		life := b.up()
		for n := range 10 {
			id := b.submit("old", Options{ID: fmt.Sprint("old-", n), Delay: time.Hour})
			expect(b, func(e events.JobQueued) bool { return e.Job == id })
		}
		b.rollBack(4)
		b.actor("bash_1", func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
			return store.Outcome{Output: j.Script}, true
		})
		id := b.submit("between", Options{ID: "between"})
		if err := life.bus.Conn().ForceReconnect(); err != nil {
			t.Fatal(err)
		}
		expect(b, func(e events.JobEnded) bool { return e.Job == id && e.Outcome == events.Finished })
		id = b.submit("after", Options{ID: "after"})
		expect(b, func(e events.JobEnded) bool { return e.Job == id && e.Outcome == events.Finished })
	})
}

// A log that is that far behind is not this Redis'.
func TestALogThatIsFarBehindIsRefused(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		first := b.up()
		id := b.submit("x", Options{Delay: time.Hour})
		q := expect(b, func(e events.JobQueued) bool { return e.Job == id })
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		if err := b.rdb.Set(b.soon(), "hero:position", fmt.Sprint(q.Sequence+fillerMost+1), 0).Err(); err != nil {
			t.Fatal(err)
		}
		err := b.fresh().Run(b.soon())
		server, is := err.(*ServerError) //nolint:errorlint // it is returned as it is
		if !is || server.Hint() == "" {
			t.Errorf("%v", err)
		}
		if n := b.logged(); n != 1 {
			t.Errorf("the log has %d", n)
		}
	})
}

// What was deleted before the log lost its end says nothing of who has those numbers now: no purge takes them along.
func TestALogThatHasLostItsEndKeepsWhatHasANumberOfOneThatWasDeleted(t *testing.T) {
	const all, kept = 20, 12
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		var hold atomic.Pointer[chan struct{}]
		life := b.up(func(c *Component) {
			c.after = func(step string) error {
				if held := hold.Load(); step == "keep" && held != nil {
					<-*held
				}
				return nil
			}
		})
		cancel := func(from, to int) {
			for n := from; n < to; n++ {
				if _, refused := b.ask(fmt.Sprint("hero.cmd.job.cancel.old-", n), nil, ""); refused != nil {
					t.Fatalf("%+v", refused)
				}
			}
		}
		for n := range all {
			id := b.submit("old", Options{ID: fmt.Sprint("old-", n), Delay: time.Hour})
			expect(b, func(e events.JobQueued) bool { return e.Job == id })
		}
		cancel(kept, all)
		b.eventually("who has ended is out of the log", func() bool { return b.logged() == kept })
		b.rollBack(kept)
		b.submit("between", Options{ID: "between", Delay: time.Hour}) // under the number of one that was deleted
		if err := life.bus.Conn().ForceReconnect(); err != nil {
			t.Fatal(err)
		}
		expect(b, func(e events.RedisRefilled) bool { return e.Reason != firstStart })
		held := make(chan struct{})
		hold.Store(&held)
		cancel(0, 1)
		cancel(1, kept) // enough in one page for a purge
		hold.Store(nil)
		close(held)
		b.eventually("who has ended is out of the log", func() bool { return b.logged() <= 1 })
		if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
			t.Fatal(err)
		}
		expectNth(b, 2, func(e events.RedisRefilled) bool { return e.Reason != firstStart })
		if _, err := b.store.Job(b.soon(), "between"); err != nil {
			t.Error(err)
		}
	})
}

// A message that names no job is called by its number. One that has another's number is another job.
func TestALogThatHasLostItsEndRunsWhatIsCalledByItsNumber(t *testing.T) {
	for _, script := range []string{"old", "new"} {
		eachRedis(t, func(t *testing.T, r *redisServer) {
			b := newBed(t, r)
			first := b.up()
			b.actor("bash_1", func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
				return store.Outcome{Output: j.Script}, true
			})
			before := b.submit("stays", Options{Delay: time.Hour})
			expect(b, func(e events.JobQueued) bool { return e.Job == before })
			var seq uint64
			for range 3 {
				seq = b.raw("bash", nil, "old")
			}
			expect(b, func(e events.JobEnded) bool { return e.Job == fmt.Sprintf("%s-%d", events.JobsStream, seq) })
			if err := first.stop(); err != nil {
				t.Fatal(err)
			}
			b.rollBack(1)
			b.raw("bash", nil, script)
			b.up()
			expect(b, func(e events.RedisRefilled) bool { return e.Reason != firstStart })
			expectNth(b, 4, func(e events.JobEnded) bool { return e.Outcome == events.Finished })
			if n := count(b, func(e events.CommandRejected) bool { return true }); n != 0 {
				t.Errorf("%d refusals", n)
			}
		})
	}
}

// Who dies between the messages that bring the log forward and their end leaves none to be refused.
func TestADeathWhileTheLogIsBroughtForward(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		first := b.up()
		var q events.JobQueued
		for n := range 10 {
			id := b.submit("old", Options{ID: fmt.Sprint("old-", n), Delay: time.Hour})
			q = expect(b, func(e events.JobQueued) bool { return e.Job == id })
		}
		epoch := first.epoch.Load()
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		b.rollBack(4)
		if err := first.keepReused(b.soon(), numbers{q.Sequence - 9, q.Sequence}); err != nil {
			t.Fatal(err)
		}
		if err := first.keepRefill(b.soon(), epoch); err != nil {
			t.Fatal(err)
		}
		for range 6 {
			b.raw(fillerType, nil, "")
		}
		b.up()
		expect(b, func(e events.RedisRefilled) bool { return e.Reason != firstStart })
		if n := count(b, func(e events.CommandRejected) bool { return true }); n != 0 {
			t.Errorf("%d refusals", n)
		}
		if n := b.logged(); n != 4 {
			t.Errorf("the log has %d", n)
		}
	})
}

// Who is removed takes no other's message along.
func TestALogThatHasLostItsEndKeepsWhatHasANumberOfOneThatIsRemoved(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		first := b.up()
		b.submit("stays", Options{ID: "stays", Delay: time.Hour})
		b.actor("bash_1", func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
			return store.Outcome{Output: j.Script}, true
		})
		for n := range 3 {
			id := b.submit("old", Options{ID: fmt.Sprint("old-", n)})
			expect(b, func(e events.JobEnded) bool { return e.Job == id })
		}
		b.eventually("who has ended is out of the log", func() bool { return b.logged() == 1 })
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		b.rollBack(1)
		b.submit("between", Options{ID: "between", Delay: time.Hour}) // under the number of old-0
		b.up()
		expect(b, func(e events.RedisRefilled) bool { return e.Reason != firstStart })
		if _, refused := b.ask("hero.cmd.job.remove.old-0", nil, ""); refused != nil {
			t.Fatalf("%+v", refused)
		}
		if n := b.logged(); n != 2 {
			t.Errorf("the log has %d", n)
		}
	})
}

// What was refused and could not be deleted yet is known by its number, which may be another's by now.
func TestALogThatHasLostItsEndKeepsWhatHasANumberOfOneThatWasRefused(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		first := b.up()
		var refused uint64
		for n := range 5 {
			id := b.submit("old", Options{ID: fmt.Sprint("old-", n), Delay: time.Hour})
			refused = expect(b, func(e events.JobQueued) bool { return e.Job == id }).Sequence
		}
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		b.rollBack(3)
		b.submit("between", Options{ID: "between"})
		in := &intake{c: first.Component, r: first.reporter("intake"), discards: []uint64{refused - 1}}
		if _, err := in.lookAtLog(b.soon()); err != nil {
			t.Fatal(err)
		}
		in.discard(b.soon())
		if n := b.logged(); n != 4 {
			t.Errorf("the log has %d", n)
		}
	})
}

// No message is deleted of a log that came back and was not looked at yet: it may be another's.
func TestALogThatHasLostItsEndBeforeADeletion(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		at := map[string]chan chan struct{}{"take": make(chan chan struct{}), "delete": make(chan chan struct{}), "settle": make(chan chan struct{})}
		var holds atomic.Bool
		life := b.up(func(c *Component) {
			c.after = func(step string) error {
				if stopped, is := at[step]; is && holds.Load() {
					goOn := make(chan struct{})
					select {
					case stopped <- goOn:
						<-goOn
					case <-c.stopping:
					}
				}
				return nil
			}
		})
		for n := range 10 {
			id := b.submit("old", Options{ID: fmt.Sprint("old-", n), Delay: time.Hour})
			expect(b, func(e events.JobQueued) bool { return e.Job == id })
		}
		holds.Store(true)
		if _, refused := b.ask("hero.cmd.job.cancel.old-4", nil, ""); refused != nil {
			t.Fatalf("%+v", refused)
		}
		deletes := <-at["delete"]
		b.submit("held", Options{ID: "held", Delay: time.Hour})
		takes := <-at["take"]
		b.rollBack(4)
		b.submit("between", Options{ID: "between", Delay: time.Hour}) // under the number of old-4
		back := life.bus.Conn().StatusChanged(nats.CONNECTED)
		defer life.bus.Conn().RemoveStatusListener(back)
		if err := life.bus.Conn().ForceReconnect(); err != nil {
			t.Fatal(err)
		}
		<-back
		close(deletes)
		select { // it has gone on, or tries it again
		case goOn := <-at["settle"]:
			close(goOn)
		case goOn := <-at["delete"]:
			close(goOn)
		}
		if n := b.logged(); n != 5 {
			t.Errorf("the log has %d", n)
		}
		holds.Store(false)
		close(takes)
		expect(b, func(e events.JobQueued) bool { return e.Job == "between" })
	})
}

// A server that came back while nobody listened for it is looked at as well.
func TestALogThatHasLostItsEndUnseen(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		var roll atomic.Bool
		rolled := make(chan struct{})
		var life *running
		life = b.up(func(c *Component) {
			c.after = func(step string) error {
				if step != "take" || !roll.CompareAndSwap(true, false) {
					return nil
				}
				b.rollBack(4)
				back := life.bus.Conn().StatusChanged(nats.CONNECTED)
				defer life.bus.Conn().RemoveStatusListener(back)
				if err := life.bus.Conn().ForceReconnect(); err != nil {
					return err
				}
				<-back
				close(rolled)
				return errReader // which ends the reading that would have heard of it
			}
		})
		for n := range 10 {
			id := b.submit("old", Options{ID: fmt.Sprint("old-", n), Delay: time.Hour})
			expect(b, func(e events.JobQueued) bool { return e.Job == id })
		}
		roll.Store(true)
		b.submit("lost", Options{ID: "lost"})
		<-rolled
		after := b.submit("after", Options{ID: "after", Delay: time.Hour})
		expect(b, func(e events.JobQueued) bool { return e.Job == after })
	})
}
