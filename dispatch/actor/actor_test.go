package actor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"herosup/dispatch/store"
	"herosup/events"
)

func TestLifeOfAJob(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		waiting := b.accept(store.Submission{
			Script: "one", Env: map[string]string{"A": "b"}, Caller: "me", Context: "here", Timeout: 7 * time.Second,
		})
		got := make(chan Job, 2)
		a := b.start("p_1", func(ctx context.Context, j Job) Outcome {
			if left, ok := ctx.Deadline(); ok != (j.Timeout > 0) || ok && time.Until(left) > j.Timeout {
				t.Errorf("deadline %v %v, timeout %v", left, ok, j.Timeout)
			}
			got <- j
			if j.Script == "two" {
				return Outcome{Failed: true, Output: "half", Error: "went wrong", Reason: "exit 3", ExitCode: "3"}
			}
			return echo(ctx, j)
		}, nil, nil)
		r := b.ended(waiting)
		if r.Status != store.StatusFinished || r.Output != "did one" || r.Attempts != 1 || r.Actor != "p_1" {
			t.Errorf("got %+v", r)
		}
		want := Job{ID: waiting, Type: "t", Script: "one", Env: map[string]string{"A": "b"}, CallerID: "me", ContextID: "here", Attempt: 1, Timeout: 7 * time.Second}
		first := recv(t, got)
		first.record = nil
		if diff := cmp.Diff(want, first, cmp.AllowUnexported(Job{})); diff != "" {
			t.Error(diff)
		}
		// The actor is idle now, or soon: both ways a job reaches it.
		r = b.ended(b.script("two"))
		if r.Status != store.StatusError || r.Output != "half" || r.Error != "went wrong" || r.Reason != "exit 3" || r.ExitCode != "3" {
			t.Errorf("got %+v", r)
		}
		if err := a.end(b); err != nil {
			t.Error(err)
		}
		if b.count(store.FactStarted) != 2 || b.count(store.FactEnded) != 2 || b.count(store.FactHello) != 1 {
			t.Errorf("facts: %s", b.kinds())
		}
	})
}

func TestDefaultTimeout(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		b.start("p_1", func(ctx context.Context, j Job) Outcome {
			<-ctx.Done()
			return Failed(ReasonTimeout, fmt.Sprint(context.Cause(ctx)))
		}, func(c *Config) { c.Timeout = 50 * time.Millisecond }, nil)
		if r := b.ended(b.script("x")); r.Reason != ReasonTimeout || r.Error != ErrTimeout.Error() {
			t.Errorf("got %+v", r)
		}
	})
}

// research/hero.md 4: a script that is exactly ping is a health check.
func TestPingScriptIsAnsweredInline(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		b.start("p_1", func(_ context.Context, j Job) Outcome { return Failed("handled", j.Script) }, nil, nil)
		if r := b.ended(b.script("ping")); r.Status != store.StatusFinished || r.Output != "pong" {
			t.Errorf("got %+v", r)
		}
		if r := b.ended(b.script("ping\n")); r.Reason != "handled" {
			t.Errorf("got %+v", r)
		}
	})
}

func TestPingMessage(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		b.start("p_1", echo, nil, nil)
		b.hello("p_1")
		b.ping("p_1", "n1")
		b.await("pong", func(f store.Fact) bool { return f.Kind == store.FactPong && f.Nonce == "n1" && f.Actor == "p_1" })
		b.ended(b.script("after the ping"))
	})
}

// One that could not run jobs gives no sign of life, and works on.
func TestUnhealthyGivesNoSignOfLife(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		asked := 0
		b.start("p_1", echo, func(c *Config) {
			c.Healthy = func(context.Context) error {
				if asked++; asked == 1 {
					return errors.New("not now")
				}
				return nil
			}
		}, nil)
		b.hello("p_1")
		b.ping("p_1", "n1")
		b.ping("p_1", "n2")
		b.await("pong", func(f store.Fact) bool {
			if f.Nonce == "n1" {
				t.Error("it answered while it was not well")
			}
			return f.Kind == store.FactPong && f.Nonce == "n2"
		})
		b.ended(b.script("after the pings"))
	})
}

func TestGate(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		b.start("p_1", echo, nil, nil)
		b.ended(b.script("before"))
		b.gate(b.d.CloseGate, "p_1")
		id := b.script("while closed")
		// A ring makes it ask, a ping shows that it has: it answers in the order of its list.
		b.ring("p_1")
		b.ping("p_1", "n")
		b.await("pong", func(f store.Fact) bool { return f.Kind == store.FactPong })
		if r := b.record(id); r.Status != store.StatusDispatched {
			t.Errorf("taken through a closed gate: %+v", r)
		}
		b.gate(b.d.OpenGate, "p_1")
		b.ended(id)
	})
}

func TestWaitsForTheEpoch(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := &bed{T: t, url: srv.url, s: open(t, srv.url), last: "0-0"}
		tried := make(chan struct{}, 100)
		b.start("p_1", echo, nil, func(s side) side { return &tap{side: s, hello: tried} })
		recv(t, tried)
		recv(t, tried)
		b.raise(5)
		b.ring("p_1")
		b.hello("p_1")
		b.ended(b.script("x"))
	})
}

// tap tells of calls.
type tap struct {
	side
	hello chan struct{}
}

func (t *tap) Hello(ctx context.Context) (store.Hello, error) {
	h, err := t.side.Hello(ctx)
	select {
	case t.hello <- struct{}{}:
	default:
	}
	return h, err
}

// Redis is flushed under a running job, and the daemon fills it again: the job stays with its actor, which tells its end to the new
// Redis, whether the job ends before that is there or goes on longer.
func TestFlushInMidJob(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		for _, longer := range []bool{false, true} {
			t.Run(fmt.Sprintf("longer=%v", longer), func(t *testing.T) {
				b := newBed(t, srv)
				b.flush()
				b.raise(1)
				begun, end := make(chan int, 2), make(chan struct{})
				a := b.start("p_1", func(ctx context.Context, j Job) Outcome {
					if err := j.RecordGroup(ctx, 4242, events.Incarnation{Start: 7}); err != nil {
						t.Error(err)
					}
					begun <- 1
					select {
					case <-end:
					case <-ctx.Done():
						t.Error(context.Cause(ctx))
					}
					return echo(ctx, j)
				}, nil, nil)
				id := b.script("x")
				recv(t, begun)
				b.flush()
				if !longer {
					close(end) // its end meets NO_EPOCH, hello too
				}
				b.raise(2)
				b.hello("p_1")
				if longer {
					c := b.client()
					for over := soonest(); c.HLen(t.Context(), "hero:groups").Val() == 0; { // said after what it holds
						if over() {
							t.Fatal("it did not say what it holds")
						}
					}
					close(end)
				}
				b.accept(store.Submission{ID: id, Script: "x"})
				if r := b.ended(id); r.Status != store.StatusFinished || r.Attempts != 1 || r.Sequence == 0 {
					t.Errorf("got %+v", r)
				}
				if err := a.end(b); err != nil {
					t.Error(err)
				}
				if len(begun) > 0 || b.count(store.FactStarted) != 0 || b.count(store.FactEnded) != 1 {
					t.Errorf("begun %d times more; facts of the new epoch: %s", len(begun), b.kinds())
				}
			})
		}
	})
}

func (b *bed) flush() {
	b.Helper()
	c := b.client()
	for until := time.Now().Add(soon); ; {
		err := c.FlushAll(b.Context()).Err()
		if err == nil {
			return
		}
		if time.Now().After(until) {
			b.Fatal(err)
		}
	}
}

func (b *bed) client() *redis.Client { return redisClient(b.T, b.url) }

func redisClient(t testing.TB, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// An actor that says too late what it holds: another has the job by then, and its own run ends and counts for nothing.
func TestALateWordIsStale(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		begun, causes, another := make(chan int, 2), make(chan error, 2), make(chan struct{})
		b.start("p_1", func(ctx context.Context, j Job) Outcome {
			begun <- 1
			if j.Script == "long" {
				<-ctx.Done()
				causes <- context.Cause(ctx)
			}
			return echo(ctx, j)
		}, nil, func(s side) side { return &late{side: s, until: another} })
		id := b.script("long")
		recv(t, begun)
		b.flush()
		b.raise(2)
		b.accept(store.Submission{ID: id, Script: "long"})
		other, err := b.s.Actor("p_2", "t", "i2")
		if err != nil {
			t.Fatal(err)
		}
		patient(b, func() (store.Hello, error) { return other.Hello(t.Context()) })
		got := patient(b, func() (store.ClaimResult, error) { return other.Claim(t.Context()) })
		if got.Job == nil || got.Job.ID != id {
			t.Fatalf("the other got %+v", got)
		}
		close(another)
		if cause := recv(t, causes); !errors.Is(cause, ErrLost) {
			t.Errorf("cause %v", cause)
		}
		b.ended(b.script("next"))
		if r := b.record(id); r.Token != got.Job.Token || r.Status != store.StatusStarted {
			t.Errorf("the other's job: %+v", r)
		}
	})
}

// late says what it holds only when another has come before it.
type late struct {
	side
	until chan struct{}
}

func (l *late) Assert(ctx context.Context, jobs []store.InHand) ([]store.Code, store.Code, error) {
	<-l.until
	return l.side.Assert(ctx, jobs)
}

// The lease is renewed while a job runs; a job taken away ends.
func TestRenewalAndLoss(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		causes := make(chan error, 1)
		r := make(chan store.Code, 100)
		b.start("p_1", func(ctx context.Context, j Job) Outcome {
			if j.Attempt == 1 {
				<-ctx.Done()
				causes <- context.Cause(ctx)
			}
			return echo(ctx, j)
		}, func(c *Config) { c.Lease = 60 * time.Millisecond }, func(s side) side { return &renewals{side: s, codes: r} })
		id := b.script("x")
		inc := b.started(id).Incarnation
		for range 3 {
			if code := recv(t, r); code != store.OK {
				t.Errorf("renew: %s", code)
			}
		}
		b.recover(inc, true)
		if cause := recv(t, causes); !errors.Is(cause, ErrLost) {
			t.Errorf("cause %v", cause)
		}
		if rec := b.ended(id); rec.Attempts != 2 {
			t.Errorf("got %+v", rec)
		}
	})
}

type renewals struct {
	side
	codes chan store.Code
}

func (r *renewals) Renew(ctx context.Context, jobs ...store.Claimed) ([]store.Code, error) {
	codes, err := r.side.Renew(ctx, jobs...)
	for _, code := range codes {
		select {
		case r.codes <- code:
		default:
		}
	}
	return codes, err
}

// faults.md W6: finish was executed, its answer lost. The same token again gets the same answer, the next job included.
func TestLostAnswersOfFinish(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		ids := []string{b.script("1"), b.script("2"), b.script("3")}
		a := b.start("p_1", echo, nil, func(s side) side { return &lossy{side: s} })
		for _, id := range ids {
			if r := b.ended(id); r.Attempts != 1 || r.Output == "" || r.Status != store.StatusFinished {
				t.Errorf("got %+v", r)
			}
		}
		if err := a.end(b); err != nil {
			t.Error(err)
		}
		if b.count(store.FactStarted) != 3 || b.count(store.FactEnded) != 3 {
			t.Errorf("facts: %s", b.kinds())
		}
		if strings.Contains(b.logs.String(), "result dropped") {
			t.Errorf("a repeat was taken for another's:\n%s", b.logs.String())
		}
	})
}

// lossy loses the first two answers to each exchange and record, after they took effect.
type lossy struct {
	side
	exchanges, records int
}

func (l *lossy) RecordGroup(ctx context.Context, job store.Claimed, pgid int, start uint64) (store.Code, error) {
	code, err := l.side.RecordGroup(ctx, job, pgid, start)
	if l.records++; l.records%3 != 0 {
		return "", errLost
	}
	return code, err
}

var errLost = fmt.Errorf("%w: connection reset", store.ErrAway)

func (l *lossy) Exchange(ctx context.Context, ended []store.Ended, known, want int) (store.ExchangeResult, error) {
	res, err := l.side.Exchange(ctx, ended, known, want)
	if l.exchanges++; l.exchanges%3 != 0 {
		return store.ExchangeResult{}, errLost
	}
	return res, err
}

// The record of a script's group is repeated until it is answered, and the script waits for it.
func TestRecordIsRepeated(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		h, err := ScriptHandler(ScriptConfig{Interpreter: []string{"bash"}})
		if err != nil {
			t.Fatal(err)
		}
		l := &lossy{}
		a := b.start("p_1", h, nil, func(s side) side { l.side = s; return l })
		if r := b.ended(b.script("echo ok")); r.Output != "ok\n" || r.Attempts != 1 {
			t.Errorf("got %+v", r)
		}
		if err := a.end(b); err != nil || l.records != 3 {
			t.Errorf("%d records, %v", l.records, err)
		}
	})
}

// Redis goes away under a running job and comes back with what it had: the result is kept and told.
func TestRedisAwayInMidJob(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		begun, end := make(chan int, 1), make(chan struct{})
		failed := make(chan struct{}, 100)
		b.start("p_1", func(ctx context.Context, j Job) Outcome {
			if j.Script == "x" {
				begun <- 1
				<-end
			}
			return echo(ctx, j)
		}, nil, func(s side) side { return &finishes{side: s, failed: failed} })
		id := b.script("x")
		recv(t, begun)
		srv.stop()
		close(end)
		recv(t, failed)
		srv.back()
		if r := b.ended(id); r.Attempts != 1 || r.Status != store.StatusFinished || r.Output != "did x" {
			t.Errorf("got %+v", r)
		}
		b.ended(b.script("another"))
		if l := b.logs.String(); strings.Count(l, "redis does not serve") != 1 || strings.Count(l, "redis serves again") != 1 {
			t.Errorf("want one line for each of going and coming back:\n%s", l)
		}
	})
}

type finishes struct {
	side
	failed chan struct{}
}

func (f *finishes) Exchange(ctx context.Context, ended []store.Ended, known, want int) (store.ExchangeResult, error) {
	res, err := f.side.Exchange(ctx, ended, known, want)
	if err != nil && len(ended) > 0 {
		select {
		case f.failed <- struct{}{}:
		default:
		}
	}
	return res, err
}

// And under an idle actor.
func TestRedisAwayWhileIdle(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		b.start("p_1", echo, nil, nil)
		b.ended(b.script("before"))
		srv.stop()
		srv.back()
		b.ended(b.script("after"))
	})
}

func TestSuperseded(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		first := b.start("p_1", echo, nil, nil)
		b.hello("p_1")
		b.start("p_1", echo, nil, nil)
		b.await("hello of the second", func(store.Fact) bool { return b.count(store.FactHello) == 2 })
		b.ring("p_1")
		// Both wait on the same list: each message reaches one of them, also the one that hands a job over. So the
		// second may have a job and not know; the daemon rings then (its watchdog), here the test does.
		for range 5 {
			b.ring("p_1")
			id := b.script("x")
			for !b.record(id).Status.Ended() {
				b.ring("p_1")
			}
		}
		if err := first.ended(b); !errors.Is(err, ErrSuperseded) || !strings.Contains(err.Error(), "actor p_1: ") {
			t.Errorf("got %v", err)
		}
	})
}

func TestStopFinishesTheJobInHand(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		begun, end := make(chan int, 1), make(chan struct{})
		a := b.start("p_1", func(ctx context.Context, j Job) Outcome { begun <- 1; <-end; return echo(ctx, j) }, nil, nil)
		id, other := b.script("x"), b.script("not taken")
		recv(t, begun)
		a.stop()
		close(end)
		if err := a.ended(b); err != nil {
			t.Error(err)
		}
		if r := b.ended(id); r.Output != "did x" {
			t.Errorf("got %+v", r)
		}
		if r := b.record(other); r.Status != store.StatusDispatched {
			t.Errorf("taken after the stop: %+v", r)
		}
	})
}

func TestStopGraceCutsTheJobShort(t *testing.T) {
	for name, out := range map[string]Outcome{"a failure is not told": Failed(ReasonStopped, "cut"), "a success is": {Output: "just in time"}} {
		t.Run(name, func(t *testing.T) {
			eachServer(t, func(t *testing.T, srv server) {
				b := newBed(t, srv)
				begun, causes := make(chan int, 1), make(chan error, 1)
				a := b.start("p_1", func(ctx context.Context, j Job) Outcome {
					begun <- 1
					<-ctx.Done()
					causes <- context.Cause(ctx)
					return out
				}, func(c *Config) { c.StopGrace = 30 * time.Millisecond }, nil)
				id := b.script("x")
				recv(t, begun)
				if err := a.end(b); err != nil {
					t.Error(err)
				}
				if cause := recv(t, causes); !errors.Is(cause, ErrStopped) {
					t.Errorf("cause %v", cause)
				}
				want := store.StatusFinished
				if out.Failed {
					want = store.StatusStarted // recovered when the process is gone
				}
				if r := b.record(id); r.Status != want || r.Attempts != 1 {
					t.Errorf("got %+v", r)
				}
			})
		})
	}
}

// What can not be ended at a stop is said, and Run returns all the same.
func TestStopIsBounded(t *testing.T) {
	t.Run("a handler that does not return", func(t *testing.T) {
		eachServer(t, func(t *testing.T, srv server) {
			b := newBed(t, srv)
			b.hurry = true
			begun, end := make(chan int, 1), make(chan struct{})
			defer close(end)
			a := b.start("p_1", func(ctx context.Context, j Job) Outcome { begun <- 1; <-end; return echo(ctx, j) },
				func(c *Config) { c.StopGrace = time.Millisecond }, nil)
			id := b.script("x")
			recv(t, begun)
			if err := a.end(b); err == nil || !strings.Contains(err.Error(), "the handler of job "+id+" does not return") {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("a result that nobody takes", func(t *testing.T) {
		eachServer(t, func(t *testing.T, srv server) {
			b := newBed(t, srv)
			b.hurry = true
			begun, end, failed := make(chan int, 1), make(chan struct{}), make(chan struct{}, 100)
			a := b.start("p_1", func(ctx context.Context, j Job) Outcome { begun <- 1; <-end; return echo(ctx, j) },
				func(c *Config) { c.StopGrace = time.Millisecond }, func(s side) side { return &finishes{side: s, failed: failed} })
			id := b.script("x")
			recv(t, begun) // not the fact: a job handed over is started before its actor knows
			srv.stop()
			close(end)
			recv(t, failed)
			if err := a.end(b); err == nil || !strings.Contains(err.Error(), "the result of job "+id+" could not be told, the job will run again") {
				t.Errorf("got %v", err)
			}
			srv.back()
		})
	})
}

// A job that was lost before its script could begin never begins.
func TestLostBeforeTheRecord(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		begun, recorded, taken := make(chan int, 2), make(chan error, 2), make(chan struct{})
		b.start("p_1", func(ctx context.Context, j Job) Outcome {
			begun <- 1
			<-taken
			err := j.RecordGroup(ctx, 4711, events.Incarnation{Start: 99})
			recorded <- err
			if err != nil {
				return Failed(ReasonNotStarted, err.Error())
			}
			return echo(ctx, j)
		}, nil, nil)
		id := b.script("x")
		recv(t, begun)
		b.recover(b.started(id).Incarnation, true)
		close(taken)
		if err := recv(t, recorded); !errors.Is(err, ErrLost) {
			t.Errorf("recorded for a job of another: %v", err)
		}
		if err := recv(t, recorded); err != nil {
			t.Error(err)
		}
		if r := b.ended(id); r.Attempts != 2 || r.Status != store.StatusFinished {
			t.Errorf("got %+v", r)
		}
	})
}

func TestForeignRecordWithBadEnv(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		c := b.client()
		if err := c.HSet(t.Context(), "hero:job:foreign", "id", "foreign", "script", "x", "script_type", "t", "status", "dispatched", "env_vars", "{nonsense").Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.LPush(t.Context(), "hero:q:work:type:t", "foreign").Err(); err != nil {
			t.Fatal(err)
		}
		b.start("p_1", echo, nil, nil)
		if r := b.ended("foreign"); r.Reason != ReasonBadEnv || !strings.Contains(r.Error, "read env_vars of job foreign") {
			t.Errorf("got %+v", r)
		}
	})
}

func TestHandlerThatEndsItsGoroutine(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		b.start("p_1", func(context.Context, Job) Outcome { runtime.Goexit(); return Outcome{} }, nil, nil)
		for _, script := range []string{"x", "another"} {
			if r := b.ended(b.script(script)); r.Reason != ReasonNoOutcome {
				t.Errorf("%s: got %+v", script, r)
			}
		}
	})
}

// An exit code that is no word does not keep the end from being told.
func TestExitCodeThatIsNoWord(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		b.start("p_1", func(_ context.Context, j Job) Outcome {
			return Outcome{Failed: true, Reason: "exit", ExitCode: strings.TrimPrefix(j.Script, "exit ")}
		}, nil, nil)
		for code, want := range map[string]string{"3\n": "3", "a\t\nb": "a_b", "\n": ""} {
			if r := b.ended(b.script("exit " + code)); r.Status != store.StatusError || r.ExitCode != want {
				t.Errorf("%q: %+v", code, r)
			}
		}
	})
}

func TestOutcomeIsBounded(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		b.start("p_1", func(_ context.Context, j Job) Outcome {
			return Outcome{Output: strings.Repeat("x", maxText+5) + "\xff", Failed: j.Script == "fail", Reason: strings.Repeat("r", 2*maxWord), ExitCode: strings.Repeat("3", 2*maxWord)}
		}, nil, nil)
		r := b.ended(b.script("x"))
		if len(r.Output) > maxText+100 || !strings.HasSuffix(r.Output, "x\n... 8 bytes cut ...\n") {
			t.Errorf("%d bytes, ends with %q", len(r.Output), r.Output[len(r.Output)-40:])
		}
		if r := b.ended(b.script("fail")); len(r.Reason) > maxWord+100 || len(r.ExitCode) > maxWord+100 {
			t.Errorf("a reason of %d bytes, an exit code of %d", len(r.Reason), len(r.ExitCode))
		}
	})
}

// A setting that is wrong is said at once, not tried for ever.
func TestRefusedAtTheFirstHello(t *testing.T) {
	t.Parallel()
	srv := realServer(t, "--requirepass", "secret")
	b := &bed{T: t, url: srv.url}
	a := b.start("p_1", echo, nil, nil)
	if err := a.ended(b); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("got %v", err)
	}
	if err := HealthCheck(t.Context(), open(t, srv.url)); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("health: %v", err)
	}
}

func TestHealthCheck(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := &bed{T: t}
		s := open(t, srv.url)
		patient(b, func() (int, error) { return 0, HealthCheck(t.Context(), s) })
		srv.stop()
		if err := HealthCheck(t.Context(), s); !errors.Is(err, store.ErrAway) {
			t.Errorf("with redis away: %v", err)
		}
		srv.back()
	})
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	good := Config{Name: "p_1", Type: "t", Handler: echo}
	for want, change := range map[string]func(*Config){
		`actor id "p.1"`:       func(c *Config) { c.Name = "p.1" },
		"script type is empty": func(c *Config) { c.Type = "" },
		"no handler":           func(c *Config) { c.Handler = nil },
		"none may be negative": func(c *Config) { c.Timeout = -1 },
	} {
		c := good
		change(&c)
		if err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// A cancel ends the handler's context, with its cause; unless the handler was faster it is the job's end. A script of a
// cancelled job does not begin.
func TestCancelEndsTheHandler(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		begun, causes, recorded, cancelled := make(chan int, 2), make(chan error, 2), make(chan error, 1), make(chan struct{})
		b.start("p_1", func(ctx context.Context, j Job) Outcome {
			begun <- 1
			if j.Script == "script" {
				<-cancelled
				recorded <- j.RecordGroup(ctx, 4711, events.Incarnation{Start: 99})
			}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			if j.Script == "fast" {
				return echo(ctx, j)
			}
			return Failed("given up", "half done")
		}, func(c *Config) { c.Lease = 60 * time.Millisecond }, nil)
		cancel := func(id string) {
			recv(t, begun)
			if c := patient(b, func() (store.Cancelled, error) { return b.d.Cancel(b.Context(), id) }); c.Code != store.Running {
				t.Errorf("%+v", c)
			}
		}
		for script, status := range map[string]store.Status{"slow": store.StatusError, "fast": store.StatusFinished} {
			id := b.script(script)
			cancel(id)
			if cause := recv(t, causes); !errors.Is(cause, ErrCancelled) {
				t.Errorf("cause %v", cause)
			}
			rec := b.ended(id)
			if rec.Status != status || (rec.Reason == store.ReasonCancelled) != (status == store.StatusError) || rec.Attempts != 1 {
				t.Errorf("%s: %+v", script, rec)
			}
		}
		id := b.script("script")
		cancel(id)
		close(cancelled)
		if err := recv(t, recorded); !errors.Is(err, ErrCancelled) {
			t.Errorf("recorded: %v", err)
		}
		if rec := b.ended(id); rec.Reason != store.ReasonCancelled {
			t.Errorf("%+v", rec)
		}
	})
}
