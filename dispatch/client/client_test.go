package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"herosup/dispatch/client"
	"herosup/events/embedded"
)

func TestRun(t *testing.T) {
	_, c := bed(t, embedded.Submitter)
	r, err := c.Run(soon(t), "echo", "print 42", client.Options{})
	if err != nil || !r.Finished || r.Output != "42" || r.ExitCode == nil || *r.ExitCode != 0 || len(r.Job) != 26 {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = c.Run(soon(t), "echo", "fail", client.Options{ID: "bad"})
	if err != nil || r.Finished || r.Error != "it broke" || r.Reason != "exit 3" || *r.ExitCode != 3 || r.Output != "" {
		t.Errorf("%+v, %v", r, err)
	}
	again, err := c.Await(soon(t), "bad")
	if err != nil || again.Error != r.Error {
		t.Errorf("%+v, %v", again, err)
	}
}

// A time that is up before the log has the job leaves it open whether it was accepted, and that is said.
func TestRunThatWasNotConfirmed(t *testing.T) {
	_, c := bed(t, embedded.Submitter)
	cause := errors.New("no more patience")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Nanosecond, cause)
	defer cancel()
	r, err := c.Run(ctx, "echo", "print 42", client.Options{})
	if !errors.Is(err, client.ErrUnconfirmed) || !errors.Is(err, cause) || r.Job == "" {
		t.Errorf("%+v, %v", r, err)
	}
}

// The bus goes away and comes back on its port, and dispatch with it, while a job is
// awaited: the same call returns its result.
func TestRunSurvivesTheDaemon(t *testing.T) {
	d, c := bed(t, embedded.Submitter)
	type outcome struct {
		client.Result
		error
	}
	got := make(chan outcome, 1)
	go func() {
		r, err := c.Run(context.WithoutCancel(t.Context()), "echo", "wait", client.Options{ID: "long"})
		got <- outcome{r, err}
	}()
	op, err := d.connect(soon(t), embedded.Operator)
	if err != nil {
		t.Fatal(err)
	}
	defer op.Close()
	for {
		if j, err := op.Show(soon(t), "long"); err == nil && j.Status == "started" && d.asked(t, "job-run") > 0 {
			break
		}
	}
	// In the order of their start, but the actor, which lives on: bus, Redis, dispatch.
	actor := d.ends[len(d.ends)-1]
	d.ends[len(d.ends)-2]()
	d.nats.Stop()
	d.ends = d.ends[:len(d.ends)-2]
	if err := d.bus(); err != nil {
		t.Fatal(err)
	}
	if err := d.dispatch(); err != nil {
		t.Fatal(err)
	}
	d.ends = append(d.ends, actor)
	d.let()
	select {
	case o := <-got:
		if o.error != nil || !o.Finished || o.Output != "wait" {
			t.Errorf("%+v", o)
		}
	case <-soon(t).Done():
		t.Fatal("no result")
	}
}

// asked is how many requests an endpoint of dispatch has had.
func (d *daemon) asked(t *testing.T, endpoint string) (n int) {
	t.Helper()
	bus, err := d.nats.Connect("look")
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	m, err := bus.Conn().RequestWithContext(soon(t), "$SRV.STATS.dispatch", nil)
	if err != nil {
		t.Fatal(err)
	}
	var s micro.Stats
	if err := json.Unmarshal(m.Data, &s); err != nil {
		t.Fatal(err)
	}
	for _, e := range s.Endpoints {
		if e.Name == endpoint {
			n += e.NumRequests
		}
	}
	return n
}

func TestQueuedTellsWhatTheDaemonFinds(t *testing.T) {
	_, c := bed(t, embedded.Operator)
	if id, err := c.Queued(soon(t), "echo", "print 1", client.Options{ID: "one"}); err != nil || id != "one" {
		t.Fatalf("%q, %v", id, err)
	}
	if _, err := c.Await(soon(t), "one"); err != nil {
		t.Fatal(err)
	}
	// For two minutes the log itself knows an id that was submitted. What came in a
	// batch it does not know.
	if _, err := c.Queued(soon(t), "Echo", "print 1", client.Options{ID: "one"}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Queued(soon(t), "echo", "print other", client.Options{ID: "one"})
	if r := refusal(t, err); r.Code != "conflict" || r.Status != 409 || r.Hint == "" || r.Job != "one" {
		t.Errorf("%+v", r)
	}
	_, err = c.Run(soon(t), "other", "print 1", client.Options{ID: "one"})
	if r := refusal(t, err); r.Code != "conflict" {
		t.Errorf("%+v", r)
	}
	b, err := c.Batch(client.BatchConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Add(soon(t), "echo", "print 2", client.Options{ID: "two"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Flush(soon(t)); err != nil {
		t.Fatal(err)
	}
	_, err = c.Queued(soon(t), "echo", "print other", client.Options{ID: "two"})
	if r := refusal(t, err); r.Code != "conflict" || r.Status != 409 || r.Hint == "" || r.Job != "two" {
		t.Errorf("%+v", r)
	}
	for _, bad := range []struct {
		jobType, script, code string
		o                     client.Options
	}{
		{"echo", " ", "empty_script", client.Options{}},
		{"a.b", "x", "bad_type", client.Options{}},
		{"echo", "x", "bad_id", client.Options{ID: "*"}},
		{"echo", "x", "bad_header", client.Options{Timeout: new(-time.Second)}},
		{"echo", strings.Repeat("x", 1<<20+1), "script_too_large", client.Options{}},
	} {
		for name, submit := range map[string]func(context.Context, string, string, client.Options) (string, error){
			"Queued": c.Queued, "Submit": c.Submit, "Add": b.Add,
		} {
			_, err := submit(soon(t), bad.jobType, bad.script, bad.o)
			if r := refusal(t, err); r.Code != bad.code || r.Hint == "" {
				t.Errorf("%s: %+v, want %s", name, r, bad.code)
			}
		}
	}
}

func TestShowAndCancel(t *testing.T) {
	_, c := bed(t, embedded.Operator)
	if _, err := c.Submit(soon(t), "nobody", "x", client.Options{ID: "waits", CallerID: "me"}); err != nil {
		t.Fatal(err)
	}
	if j, err := c.Show(soon(t), "waits"); err != nil || j.State != "waiting" || j.Script != "x" || j.CallerID != "me" {
		t.Errorf("%+v, %v", j, err)
	}
	if j, err := c.Cancel(soon(t), "waits"); err != nil || j.State != "cancelled" {
		t.Errorf("%+v, %v", j, err)
	}
	_, err := c.Show(soon(t), "never")
	if r := refusal(t, err); r.Status != 404 || r.Code != "unknown_job" {
		t.Errorf("%+v", r)
	}
	if _, err := c.Show(soon(t), "a.b"); err == nil {
		t.Error("a bad id got through")
	}
}

func TestConnectErrors(t *testing.T) {
	for _, cfg := range []client.Config{
		{URL: "nats://127.0.0.1:1"},
		{URL: shared.nats.URL(), KeyFile: filepath.Join(t.TempDir(), "none")},
		{URL: shared.nats.URL(), KeyFile: "x", CredsFile: "y"},
		{URL: shared.nats.URL()}, // without a key nobody gets in
		{URL: shared.nats.URL(), KeyFile: embedded.KeyFile(shared.dir, embedded.Operator), Prefix: "a b"},
	} {
		if c, err := client.Connect(soon(t), cfg); err == nil {
			c.Close()
			t.Errorf("connected by %+v", cfg)
		}
	}
}

// No daemon behind the bus.
func TestNobody(t *testing.T) {
	d, c := bed(t, embedded.Operator)
	d.ends[len(d.ends)-1]() // actor
	d.ends[len(d.ends)-2]() // dispatch
	d.ends = d.ends[:len(d.ends)-2]
	if _, err := c.Show(soon(t), "x"); !errors.Is(err, client.ErrNobody) {
		t.Errorf("%v", err)
	}
	// The log takes it all the same.
	if _, err := c.Submit(soon(t), "echo", "x", client.Options{}); err != nil {
		t.Errorf("%v", err)
	}
}

// What can be no job's id is refused before it gets into a subject, where it would mean something else.
func TestNoIDIsARefusal(t *testing.T) {
	_, c := bed(t, embedded.Operator)
	const id = "a.b"
	for name, ask := range map[string]func() error{
		"show":    func() error { _, err := c.Show(soon(t), id); return err },
		"explain": func() error { _, err := c.Explain(soon(t), id); return err },
		"cancel":  func() error { _, err := c.Cancel(soon(t), id); return err },
		"retry":   func() error { _, err := c.Retry(soon(t), id); return err },
		"remove":  func() error { return c.Remove(soon(t), id) },
		"await":   func() error { _, err := c.Await(soon(t), id); return err },
		"watch":   func() error { _, err := c.Watch(id); return err },
		"after": func() error {
			_, err := c.Submit(soon(t), "echo", "x", client.Options{Prerequisites: []client.Prerequisite{{}}})
			return err
		},
	} {
		var r *client.Refusal
		if err := ask(); !errors.As(err, &r) || r.Status != 400 || r.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
