package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/dispatch/store"
	"herosup/events"
)

// ask sends a request as a person would, and reads the answer.
func (b *bed) ask(subject string, h nats.Header, body string) (*nats.Msg, *events.Refusal) {
	b.Helper()
	m, err := b.bus.Conn().RequestMsgWithContext(b.soon(), &nats.Msg{Subject: subject, Header: h, Data: []byte(body)})
	if err != nil {
		b.Fatalf("%s: %v", subject, err)
	}
	if m.Header.Get("Nats-Service-Error-Code") == "" {
		return m, nil
	}
	r := &events.Refusal{}
	if err := json.Unmarshal(m.Data, r); err != nil {
		b.Fatalf("%s: %v", subject, err)
	}
	return m, r
}

func TestRunAnswersWithTheResult(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		b.actor("bash_1", func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
			if j.Script == "fail" {
				return store.Outcome{Failed: true, Output: "half", Error: "it\nbroke", Reason: "exit 3", ExitCode: "3"}, true
			}
			return store.Outcome{Output: "42\n", ExitCode: "0"}, true
		})
		m, refused := b.ask("hero.cmd.job.run.bash", nil, "good")
		if refused != nil || string(m.Data) != "42\n" || m.Header.Get(HeaderStatus) != "finished" || m.Header.Get(HeaderExitCode) != "0" {
			t.Errorf("answer %q %v %v", m.Data, m.Header, refused)
		}
		id := m.Header.Get(HeaderJobID)
		m, refused = b.ask("hero.cmd.job.run.bash", nats.Header{"hero-job-id": {"mine"}}, "fail")
		if refused != nil || string(m.Data) != "it\nbroke" || m.Header.Get(HeaderStatus) != "error" ||
			m.Header.Get(HeaderExitCode) != "3" || m.Header.Get(HeaderReason) != "exit 3" || m.Header.Get(HeaderJobID) != "mine" {
			t.Errorf("answer %q %v %v", m.Data, m.Header, refused)
		}
		// The same again is the same job: its result, and no second run.
		again, refused := b.ask("hero.cmd.job.run.bash", nats.Header{"Hero-Job-Id": {"mine"}}, "fail")
		if refused != nil || string(again.Data) != string(m.Data) {
			t.Errorf("answer %q %v", again.Data, refused)
		}
		expect(b, func(e events.JobEnded) bool { return e.Job == "mine" }) // the answer may be here before what is told
		if n := count(b, func(e events.JobStarted) bool { return e.Job == "mine" }); n != 1 {
			t.Errorf("it ran %d times", n)
		}
		// Another script under the id is refused, and does not end the wait of others.
		if _, refused = b.ask("hero.cmd.job.run.bash", nats.Header{"Hero-Job-Id": {"mine"}, "Nats-Msg-Id": {"other"}}, "good"); refused == nil || refused.Code != "conflict" {
			t.Errorf("another script: %+v", refused)
		}
		if _, refused = b.ask("hero.cmd.job.run.bash", nil, "  "); refused == nil || refused.Code != "empty_script" || refused.Hint == "" {
			t.Errorf("an empty script: %+v", refused)
		}
		if _, refused = b.ask("hero.cmd.job.run.bash", nats.Header{"Hero-Timeout": {"-1"}}, "x"); refused == nil || refused.Code != "bad_header" {
			t.Errorf("a negative timeout: %+v", refused)
		}
		// After its end it can be awaited, and answers at once.
		m, refused = b.ask("hero.cmd.job.await."+id, nil, "")
		if refused != nil || string(m.Data) != "42\n" {
			t.Errorf("await: %q %v", m.Data, refused)
		}
	})
}

// An id whose job was refused is free at once: what is submitted under it runs, although the log remembers the id for two minutes.
func TestARefusedIDIsFree(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		b.actor("bash_1", nil)
		refused := nats.Header{"Hero-Prerequisites": {"nobody"}}
		for id, again := range map[string]func() *events.Refusal{
			"run": func() *events.Refusal {
				_, r := b.ask("hero.cmd.job.run.bash", nats.Header{"Hero-Job-Id": {"run"}}, "x")
				return r
			},
			"create": func() *events.Refusal {
				_, r := b.ask("hero.cmd.job.create", nil, `{"id": "create", "script_type": "bash", "script": "x"}`)
				return r
			},
		} {
			refused["Hero-Job-Id"] = []string{id}
			if _, r := b.ask("hero.cmd.job.run.bash", refused, "x"); r == nil || r.Code != "unknown_prerequisite" {
				t.Fatalf("%s: %+v", id, r)
			}
			if r := again(); r != nil {
				t.Errorf("%s: %+v", id, r)
			}
			expect(b, func(e events.JobEnded) bool { return e.Job == id })
		}
	})
}

// Who runs what is in the log already asks with its number, and submits nothing: asked late, a job that was removed does not come again.
func TestRunOfWhatIsInTheLog(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		life := b.up()
		b.actor("bash_1", func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
			return store.Outcome{Output: j.Script}, true
		})
		logged := func() uint64 {
			last, err := life.everLogged(b.soon())
			if err != nil {
				b.Fatal(err)
			}
			return last
		}
		ask := func(id, script, number string) (*nats.Msg, *events.Refusal) {
			return b.ask("hero.cmd.job.run.bash", nats.Header{"Hero-Job-Id": {id}, "hero-sequence": {number}}, script)
		}
		number := func(id string) string {
			_, seq, _, err := Submit(b.soon(), b.js, "", "bash", []byte("x"), Options{ID: id})
			if err != nil {
				b.Fatal(err)
			}
			return fmt.Sprint(seq)
		}
		mine := number("mine")
		for range 2 { // before its end and after
			if m, r := ask("mine", "x", mine); r != nil || string(m.Data) != "x" {
				t.Errorf("%+v", r)
			}
		}
		if _, r := ask("mine", "another", mine); r == nil || r.Code != "conflict" {
			t.Errorf("another's: %+v", r)
		}
		if _, r := b.ask("hero.cmd.job.remove.mine", nil, ""); r != nil {
			t.Fatalf("remove: %+v", r)
		}
		if _, r := ask("mine", "x", mine); r == nil || r.Status != 410 || r.Code != "result_gone" {
			t.Errorf("of a removed one: %+v", r)
		}
		if n := logged(); fmt.Sprint(n) != mine {
			t.Errorf("the log has %d messages, and had %s", n, mine)
		}
		if _, r := ask("mine", "x", mine+"0"); r == nil || r.Status != 404 || r.Code != "unknown_job" {
			t.Errorf("what the log has not: %+v", r)
		}
		for id, number := range map[string]string{"mine": "0", "other": "-1", "": "1"} {
			h := nats.Header{"Hero-Sequence": {number}}
			if id != "" {
				h["Hero-Job-Id"] = []string{id}
			}
			if _, r := b.ask("hero.cmd.job.run.bash", h, "x"); r == nil || r.Code != "bad_header" || r.Hint == "" {
				t.Errorf("%q of %q: %+v", number, id, r)
			}
		}
	})
}

func TestAwaitAnswersAtTheEnd(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		release := make(chan struct{})
		b.actor("bash_1", func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return store.Outcome{Output: j.ID}, true
		})
		if _, refused := b.ask("hero.cmd.job.await.nobody", nil, ""); refused == nil || refused.Status != 404 || refused.Code != "unknown_job" {
			t.Errorf("an unknown job: %+v", refused)
		}
		var ids []string
		for range 3 {
			ids = append(ids, b.submit("x", Options{}))
		}
		type result struct {
			id   string
			body string
			r    *events.Refusal
		}
		results := make(chan result, 100)
		for _, id := range ids {
			for range 2 { // two wait for each
				go func() {
					m, r := b.ask("hero.cmd.job.await."+id, nil, "")
					results <- result{id: id, body: string(m.Data), r: r}
				}()
			}
		}
		select {
		case got := <-results:
			t.Fatalf("answered before the end: %+v", got)
		case <-time.After(50 * time.Millisecond):
		}
		close(release)
		for range 2 * len(ids) {
			if got := <-results; got.r != nil || got.body != got.id {
				t.Errorf("answer %+v", got)
			}
		}
	})
}

// An await right behind the log's receipt finds a job that is not in Redis yet.
func TestAwaitBehindASubmission(t *testing.T) {
	b := newBed(t, miniRedis(t))
	b.up()
	b.actor("bash_1", nil)
	for range 50 {
		id := b.submit("x", Options{})
		if _, refused := b.ask("hero.cmd.job.await."+id, nil, ""); refused != nil {
			t.Fatalf("%+v", refused)
		}
	}
}

// Who waits through a flush is answered all the same.
func TestAwaitThroughAFlush(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.cfg.PingEvery = 50 * time.Millisecond
		b.up()
		id := b.submit("x", Options{})
		expect(b, func(e events.JobQueued) bool { return e.Job == id })
		done := make(chan *events.Refusal, 1)
		go func() {
			_, r := b.ask("hero.cmd.job.await."+id, nil, "")
			done <- r
		}()
		b.eventually("it waits", func() bool {
			m, _ := b.ask("$SRV.STATS.dispatch", nil, "")
			var s struct {
				Endpoints []struct {
					Name string
					Reqs int `json:"num_requests"`
				}
			}
			if err := json.Unmarshal(m.Data, &s); err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(s.Endpoints, func(e struct {
				Name string
				Reqs int `json:"num_requests"`
			},
			) bool {
				return e.Name == "job-await" && e.Reqs > 0
			})
		})
		if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
			t.Fatal(err)
		}
		expect(b, any1[events.RedisRefilled])
		b.actor("bash_1", nil)
		if r := <-done; r != nil {
			t.Errorf("%+v", r)
		}
	})
}

func TestCreateCancelListAndShow(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		var made CreateAnswer
		create := events.JobCreate{ScriptType: "bash", Script: "echo", CallerID: "me", Timeout: new(events.Seconds(2.5)), Env: map[string]string{"A": "b"}}
		if err := b.bus.Request(b.soon(), create, &made); err != nil || made.Job == "" || made.Sequence == 0 {
			t.Fatalf("%+v %v", made, err)
		}
		var show JobView
		if err := b.bus.Request(b.soon(), events.JobShow{Job: made.Job}, &show); err != nil {
			t.Fatal(err)
		}
		if show.State != StateWaiting || show.Script != "echo" || show.Timeout != 3 || show.Env["A"] != "b" || show.CallerID != "me" || show.Sequence != made.Sequence {
			t.Errorf("shown %+v", show)
		}
		delayed := b.submit("x", Options{ID: "later", Delay: time.Hour})
		for _, bad := range []events.JobCreate{
			{ScriptType: "bash"},
			{ScriptType: "a.b", Script: "x"},
			{ScriptType: "bash", Script: "x", ID: "a.b"},
			{ScriptType: "bash", Script: "x", Retries: new(101)},
			{ScriptType: "bash", Script: "x", Priority: -11},
			{ScriptType: "bash", Script: "x", Prereqs: []string{"a:b"}},
			{ScriptType: "bash", Script: "x", StartBy: -1},
			{ScriptType: "bash", Script: "x", Timeout: new(events.Seconds(-1))},
			{ScriptType: "bash", Script: "x", Delay: 1e300},
		} {
			var refusal *events.Refusal
			if err := b.bus.Request(b.soon(), bad, nil); !errors.As(err, &refusal) || refusal.Status != 400 {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		if _, r := b.ask("hero.cmd.job.create", nil, `{"script_type":"bash","script":"x","retrys":1}`); r == nil || r.Status != 400 || !strings.Contains(r.Reason, `did you mean "retries"`) {
			t.Errorf("%+v", r)
		}
		// Cancel: waiting, again, delayed; not what has ended. What runs is in ends_test.go. Retry and remove: not what runs.
		for _, id := range []string{made.Job, made.Job, delayed} {
			var v JobView
			if err := b.bus.Request(b.soon(), events.JobCancel{Job: id}, &v); err != nil || v.State != StateCancelled {
				t.Errorf("cancel %s: %+v %v", id, v, err)
			}
		}
		expect(b, func(e events.JobCancelled) bool { return e.Job == delayed })
		holding, release := make(chan store.Claimed, 1), make(chan struct{})
		b.actor("bash_1", func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
			holding <- j
			<-release
			return store.Outcome{}, true
		})
		busy := b.submit("x", Options{})
		<-holding
		for id, code := range map[string]string{busy: "not_ended", "nobody": "unknown_job"} {
			var refusal *events.Refusal
			if err := b.bus.Request(b.soon(), events.JobRetry{Job: id}, nil); !errors.As(err, &refusal) || refusal.Code != code || refusal.Hint == "" {
				t.Errorf("retry %s: %v, want %s", id, err, code)
			}
			if err := b.bus.Request(b.soon(), events.JobRemove{Job: id}, nil); !errors.As(err, &refusal) || refusal.Code != code {
				t.Errorf("remove %s: %v, want %s", id, err, code)
			}
		}
		close(release)
		expect(b, func(e events.JobEnded) bool { return e.Job == busy })
		var refusal *events.Refusal
		if err := b.bus.Request(b.soon(), events.JobCancel{Job: busy}, nil); !errors.As(err, &refusal) || refusal.Code != "ended" {
			t.Errorf("cancel of an ended job: %v", err)
		}
		if err := b.bus.Request(b.soon(), events.JobRetry{Job: busy}, nil); !errors.As(err, &refusal) || refusal.Code != "finished" {
			t.Errorf("retry: %v", err)
		}
		list := func(q events.JobList) string {
			var got JobPage
			if err := b.bus.Request(b.soon(), q, &got); err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, v := range got.Jobs {
				ids = append(ids, v.ID)
				if v.Script != "" || v.Output != "" {
					t.Errorf("a list shows %+v", v)
				}
			}
			return fmt.Sprint(ids)
		}
		if got, want := list(events.JobList{}), fmt.Sprint([]string{busy, delayed, made.Job}); got != want {
			t.Errorf("all: %s, want %s", got, want)
		}
		if got, want := list(events.JobList{State: StateFinished, Type: "bash"}), fmt.Sprint([]string{busy}); got != want {
			t.Errorf("finished: %s, want %s", got, want)
		}
		if got := list(events.JobList{Type: "python"}); got != "[]" {
			t.Errorf("of another type: %s", got)
		}
		if got := list(events.JobList{Limit: 1}); got != fmt.Sprint([]string{busy}) {
			t.Errorf("one: %s", got)
		}
		if err := b.bus.Request(b.soon(), events.JobList{State: "lost"}, nil); !errors.As(err, &refusal) || refusal.Code != "bad_state" {
			t.Errorf("an unknown state: %v", err)
		}
		if err := b.bus.Request(b.soon(), events.JobShow{Job: "nobody"}, nil); !errors.As(err, &refusal) || refusal.Status != 404 {
			t.Errorf("show nobody: %v", err)
		}
	})
}

// With Redis away a question is answered so, soon; a wait goes on.
func TestServicesWithoutRedis(t *testing.T) {
	r := miniRedis(t)
	b := newBed(t, r)
	b.up()
	id := b.submit("x", Options{})
	expect(b, func(e events.JobQueued) bool { return e.Job == id })
	r.stop()
	for _, e := range []events.Event{events.JobShow{Job: id}, events.JobCancel{Job: id}, events.JobList{}} {
		var refusal *events.Refusal
		if err := b.bus.Request(b.soon(), e, nil); !errors.As(err, &refusal) || refusal.Status != 503 || refusal.Code != "redis_away" {
			t.Errorf("%T: %v", e, err)
		}
	}
	done := make(chan *events.Refusal, 1)
	go func() {
		_, r := b.ask("hero.cmd.job.await."+id, nil, "")
		done <- r
	}()
	r.boot()
	b.actor("bash_1", nil)
	if r := <-done; r != nil {
		t.Errorf("%+v", r)
	}
}

// Who waits for a job while Redis is away is not told that there is none by a Redis that came back empty and is not filled yet: the wait
// is for what the log had by then.
func TestAWaitWithoutRedisIsForTheLog(t *testing.T) {
	r := miniRedis(t)
	b := newBed(t, r)
	up := b.up()
	id := b.submit("x", Options{})
	queued := expect(b, func(e events.JobQueued) bool { return e.Job == id })
	if err := up.stop(); err != nil {
		t.Fatal(err)
	}
	r.stop()
	c := b.fresh()
	c.stream = up.stream
	go c.awaitJob(b.soon(), events.Message{}, events.JobAwait{Job: id})
	select {
	case v := <-c.waits:
		if w, ok := v.(waiter); !ok || w.upTo != queued.Sequence {
			t.Errorf("%+v, want it to wait for %d", v, queued.Sequence)
		}
	case <-time.After(patience):
		t.Fatal("nobody waits")
	}
}

// The waiters are bounded.
func TestTooManyWaiters(t *testing.T) {
	b := newBed(t, miniRedis(t))
	c, err := New(Config{Store: b.store, State: "0a1b2c3d"}, b.bus, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &waiters{c: c, jobs: map[string]*waiting{}}
	for i := range maxWaiters + 10 {
		w.add(waiter{id: "j" + numeral(i%100)})
	}
	total := 0
	for _, j := range w.jobs {
		total += len(j.requests)
	}
	if w.n != maxWaiters || total != maxWaiters || len(w.queue) != 100 {
		t.Errorf("%d waiters, %d kept, %d looked up", w.n, total, len(w.queue))
	}
	w.looked(looked{id: "j1", rec: store.Record{Status: store.StatusFinished}})
	w.refuse("j2", unknownJob("j2"), func(waiter) bool { return true })
	if w.n != maxWaiters-200 || len(w.jobs) != 98 {
		t.Errorf("%d waiters of %d jobs left", w.n, len(w.jobs))
	}
}
