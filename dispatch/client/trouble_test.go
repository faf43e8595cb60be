package client_test

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
	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch"
	"herosup/dispatch/client"
	"herosup/events"
	"herosup/events/embedded"
)

// deaf is a client of a bus on which requests arrive and nobody answers.
func deaf(t *testing.T, subject string) (*client.Client, *nats.Subscription) {
	t.Helper()
	srv, err := embedded.Start(embedded.Config{Dir: t.TempDir(), NoListen: true, State: "0a1b2c3d"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Stop() })
	bus, err := srv.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	sub, err := bus.Conn().SubscribeSync(subject)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.On(bus)
	if err != nil {
		t.Fatal(err)
	}
	return c, sub
}

// An end of the context while the log's word is awaited leaves it open as well, be it a deadline or not.
func TestRunThatIsGivenUpWhileItIsSubmitted(t *testing.T) {
	c, sub := deaf(t, "hero.cmd.job.submit.echo")
	cause := errors.New("no more patience")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	got := make(chan error, 1)
	go func() {
		_, err := c.Run(ctx, "echo", "print 42", client.Options{})
		got <- err
	}()
	if _, err := sub.NextMsgWithContext(soon(t)); err != nil {
		t.Fatal(err)
	}
	cancel(cause)
	select {
	case err := <-got:
		if !errors.Is(err, client.ErrUnconfirmed) || !errors.Is(err, cause) {
			t.Errorf("%v", err)
		}
	case <-soon(t).Done():
		t.Fatal("it goes on")
	}
}

// What the log itself would not take was not accepted, and is not said to go on.
func TestALogThatTakesNothing(t *testing.T) {
	c, sub := deaf(t, "hero.cmd.job.submit.echo")
	for name, submit := range map[string]func() error{
		"Submit": func() error { _, err := c.Submit(soon(t), "echo", "x", client.Options{}); return err },
		"Queued": func() error { _, err := c.Queued(soon(t), "echo", "x", client.Options{}); return err },
		"Run":    func() error { _, err := c.Run(soon(t), "echo", "x", client.Options{}); return err },
	} {
		got := make(chan error, 1)
		go func() { got <- submit() }()
		m, err := sub.NextMsgWithContext(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Respond([]byte(`{"error":{"code":503,"err_code":10023,"description":"insufficient resources"}}`)); err != nil {
			t.Fatal(err)
		}
		if r := refusal(t, <-got); r.Code != "not_accepted" || r.Status != 503 || !strings.Contains(r.Reason, "insufficient resources") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// What is added behind the end was not taken, and that is said.
func TestAddToAClosedBatch(t *testing.T) {
	c, _ := deaf(t, "hero.cmd.job.batch")
	b, err := c.Batch(client.BatchConfig{})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := b.Add(soon(t), "nobody", "x", client.Options{}); !errors.Is(err, client.ErrClosed) {
		t.Errorf("add: %v", err)
	}
	if _, err := b.AddJob(soon(t), events.JobCreate{ScriptType: "nobody", Script: "x"}); !errors.Is(err, client.ErrClosed) {
		t.Errorf("add job: %v", err)
	}
}

// What the log did not take of a message is sent again, and that alone: it was not judged.
func TestBatchOfWhichTheLogTookAPart(t *testing.T) {
	c, sub := deaf(t, "hero.cmd.job.batch")
	b, err := c.Batch(client.BatchConfig{Size: 3, Linger: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, id := range []string{"taken", "bad", "later"} {
		if _, err := b.Add(soon(t), "nobody", "x", client.Options{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	next := func(want ...string) *nats.Msg {
		t.Helper()
		m, err := sub.NextMsgWithContext(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		var batch events.JobBatch
		if err := json.Unmarshal(m.Data, &batch); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, j := range batch.Jobs {
			ids = append(ids, j.ID)
		}
		if !slices.Equal(ids, want) {
			t.Fatalf("%v came, want %v", ids, want)
		}
		return m
	}
	answer := func(m *nats.Msg, refused ...dispatch.BatchRefusal) {
		t.Helper()
		body, err := json.Marshal(dispatch.BatchAnswer{Refused: refused})
		if err == nil {
			err = m.Respond(body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	bad := func(index, status int) dispatch.BatchRefusal {
		return dispatch.BatchRefusal{Index: index, Refusal: events.Refusal{Status: status, Code: "no"}}
	}
	first := next("taken", "bad", "later")
	answer(first, bad(1, 400), bad(2, 503))
	second := next("later")
	answer(first) // as if it had been sent twice
	answer(second, bad(0, 400))
	if count, err := b.Flush(soon(t)); err != nil || count != (client.BatchCount{Accepted: 1, Refused: 2}) {
		t.Errorf("%+v, %v", count, err)
	}
}

// A Flush that finds a full message and no room for it does not put more into it: one of more than events.MaxBatch jobs would be
// refused whole.
func TestFlushKeepsTheSize(t *testing.T) {
	c, sub := deaf(t, "hero.cmd.job.batch")
	b, err := c.Batch(client.BatchConfig{Size: 3, InFlight: 1, Linger: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for range 8 { // one message is under way, one is full, two jobs wait
		if _, err := b.Add(soon(t), "nobody", "x", client.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	flushed := make(chan struct{})
	go func() {
		defer close(flushed)
		if count, err := b.Flush(ctx); err == nil {
			t.Errorf("nobody answers, and it is %+v", count)
		}
	}()
	defer func() { cancel(); <-flushed }()
	seen := map[string]bool{}
	for len(seen) < 8 {
		m, err := sub.NextMsgWithContext(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		var batch events.JobBatch
		if err := json.Unmarshal(m.Data, &batch); err != nil {
			t.Fatal(err)
		}
		if len(batch.Jobs) > 3 {
			t.Errorf("a message of %d jobs", len(batch.Jobs))
		}
		for _, j := range batch.Jobs {
			seen[j.ID] = true
		}
	}
}

// Jobs that are long as JSON do not make a message that the server does not take.
func TestBatchOfLongJobs(t *testing.T) {
	for name, add := range map[string]func(*client.Batch) error{
		"scripts of escapes": func(b *client.Batch) error {
			for _, n := range []int{1<<20 - 300, 1 << 20, 10} {
				if _, err := b.Add(soon(t), "nobody", strings.Repeat("<", n), client.Options{}); err != nil {
					return err
				}
			}
			return nil
		},
		"environments": func(b *client.Batch) error {
			for range 300 {
				if _, err := b.Add(soon(t), "nobody", "x", client.Options{Env: map[string]string{"DATA": strings.Repeat("x", 32<<10)}}); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := bed(t, embedded.Submitter)
			b, err := c.Batch(client.BatchConfig{StallWait: 8 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if err := add(b); err != nil {
				t.Fatal(err)
			}
			if count, err := b.Flush(soon(t)); err != nil || count.Unconfirmed+count.Refused != 0 || count.Accepted == 0 {
				t.Errorf("%+v, %v", count, err)
			}
		})
	}
}

// What the log does not take for its size is refused before it is sent, and what travels with it is not.
func TestTooMuchEnvironment(t *testing.T) {
	_, c := bed(t, embedded.Submitter)
	big := client.Options{Env: map[string]string{}}
	for _, name := range []string{"A", "B"} {
		big.Env[name] = strings.Repeat("x", 32<<10)
	}
	_, err := c.Submit(soon(t), "nobody", "x", big)
	if r := refusal(t, err); r.Code != "headers_too_large" || r.Status != 400 || r.Hint == "" {
		t.Errorf("submit: %+v", r)
	}
	b, err := c.Batch(client.BatchConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, o := range []client.Options{{}, big, {}} {
		if _, err := b.Add(soon(t), "nobody", "x", o); err != nil && refusal(t, err).Code != "headers_too_large" {
			t.Errorf("add: %v", err)
		}
	}
	if count, err := b.Flush(soon(t)); err != nil || count != (client.BatchCount{Accepted: 2}) {
		t.Errorf("%+v, %v", count, err)
	}
	big.Env["B"] = strings.Repeat("x", 30<<10) // it fits, and the log takes it
	if _, err := c.Submit(soon(t), "nobody", "x", big); err != nil {
		t.Errorf("submit: %v", err)
	}
}

// Who runs a script under an id that is another job's is told so, and not that job's result: whether the log knows the id still, or only
// the record is left, and whether or not it may read the facts.
func TestRunUnderTheIDOfAnother(t *testing.T) {
	for _, role := range []embedded.Role{embedded.Submitter, embedded.Operator} {
		_, c := bed(t, role)
		for _, id := range []string{"before", "logged"} {
			if r, err := c.Run(soon(t), "echo", "print first", client.Options{ID: id}); err != nil || r.Output != "first" {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		b, err := c.Batch(client.BatchConfig{}) // of whose ids the log keeps nothing
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if _, err := b.Add(soon(t), "echo", "print first", client.Options{ID: "left"}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Flush(soon(t)); err != nil {
			t.Fatal(err)
		}
		if r, err := c.Await(soon(t), "left"); err != nil || r.Output != "first" {
			t.Fatalf("%+v, %v", r, err)
		}
		for _, id := range []string{"logged", "left"} {
			for _, needs := range [][]client.Prerequisite{nil, {{ID: "before"}}} {
				r, err := c.Run(soon(t), "echo", "print second", client.Options{ID: id, Prerequisites: needs})
				if err == nil {
					t.Fatalf("%s %s %v: the result of another job: %+v", role, id, needs, r)
				}
				if r := refusal(t, err); r.Code != "conflict" || r.Status != 409 || r.Job != id {
					t.Errorf("%s %s %v: %+v", role, id, needs, r)
				}
			}
			if r, err := c.Run(soon(t), "Echo", "print first", client.Options{ID: id}); err != nil || r.Output != "first" {
				t.Errorf("%s %s, the same again: %+v, %v", role, id, r, err)
			}
		}
	}
}

// An id is free again when its job was refused or removed, and not only when the log has forgotten it: what is acknowledged under it runs.
func TestAnIDThatIsFreeAgain(t *testing.T) {
	for _, role := range []embedded.Role{embedded.Submitter, embedded.Operator} {
		d, c := bed(t, role)
		op, err := d.connect(soon(t), embedded.Operator)
		if err != nil {
			t.Fatal(err)
		}
		defer op.Close()
		submit := map[string]func(id string) error{
			"Submit": func(id string) error {
				_, err := c.Submit(soon(t), "echo", "print second", client.Options{ID: id})
				return err
			},
			"Queued": func(id string) error {
				_, err := c.Queued(soon(t), "echo", "print second", client.Options{ID: id})
				return err
			},
			"Run": func(id string) error {
				_, err := c.Run(soon(t), "echo", "print second", client.Options{ID: id})
				return err
			},
		}
		for name, submit := range submit {
			refused, removed := name+"-refused", name+"-removed"
			_, err := op.Queued(soon(t), "echo", "print first", client.Options{ID: refused, Prerequisites: []client.Prerequisite{{ID: "nobody"}}})
			if r := refusal(t, err); r.Code != "unknown_prerequisite" {
				t.Fatalf("%+v", r)
			}
			if _, err := c.Run(soon(t), "echo", "print first", client.Options{ID: removed}); err != nil {
				t.Fatal(err)
			}
			if err := op.Remove(soon(t), removed); err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{refused, removed} {
				if err := submit(id); err != nil {
					t.Errorf("%s %s: %v", role, id, err)
				}
				if r, err := c.Await(soon(t), id); err != nil || r.Output != "second" {
					t.Errorf("%s %s: %+v, %v", role, id, r, err)
				}
			}
		}
	}
}

// Run puts one message into the log: a second one, behind the end of its job, would be the job once more if that was removed by then.
func TestRunSubmitsOnce(t *testing.T) {
	d, c := bed(t, embedded.Submitter)
	bus, err := d.nats.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	js, err := jetstream.New(bus.Conn())
	if err != nil {
		t.Fatal(err)
	}
	last := func() uint64 {
		s, err := js.Stream(soon(t), events.JobsStream)
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().State.LastSeq
	}
	before := last()
	const runs = 20
	for n := range uint64(runs) {
		if r, err := c.Run(soon(t), "echo", "print x", client.Options{ID: fmt.Sprint("once-", n)}); err != nil || r.Output != "x" {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if n := last() - before; n != runs {
		t.Errorf("%d messages of %d jobs", n, runs)
	}
}

// The longest result reaches who waits for it. Who asks for more than a message can have is told so, rather than waiting in vain.
func TestTheLongestResult(t *testing.T) {
	_, c := bed(t, embedded.Operator)
	for script, length := range map[string]func(client.Result) int{
		"bytes": func(r client.Result) int { return len(r.Output) }, "lines": func(r client.Result) int { return len(r.Error) },
	} {
		r, err := c.Run(soon(t), "echo", script, client.Options{ID: script})
		if err != nil || length(r) < 4<<20 {
			t.Errorf("%s: %d bytes, %v", script, length(r), err)
		}
	}
	if j, err := c.Show(soon(t), "bytes"); err != nil || len(j.Output) < 4<<20 {
		t.Errorf("%d bytes, %v", len(j.Output), err)
	}
	_, err := c.Show(soon(t), "lines") // its output and its error, each line end two bytes of JSON
	if r := refusal(t, err); r.Status != 413 || r.Code != "answer_too_large" || r.Hint == "" {
		t.Errorf("%+v", r)
	}
}
