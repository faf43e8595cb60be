package client_test

import (
	"errors"
	"io"
	"testing"

	"github.com/nats-io/nats.go"

	"herosup/dispatch/client"
	"herosup/events"
	"herosup/events/embedded"
)

// A job that is watched from before its submission is told from its queuing to its end.
func TestWatch(t *testing.T) {
	d, c := bed(t, embedded.Operator)
	w, err := c.Watch("watched")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, id := range []string{"another", "watched"} {
		if _, err := c.Submit(soon(t), "echo", "wait", client.Options{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	for {
		m, err := w.Next(soon(t))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err, told)
		}
		told = append(told, events.KindOf(m.Event).Verb)
		switch e := m.Event.(type) {
		case events.JobQueued:
			d.let()
		case events.JobEnded:
			if e.Job != "watched" || e.Outcome != events.Finished {
				t.Errorf("%+v", e)
			}
		}
	}
	if len(told) != 3 || told[0] != "queued" || told[1] != "started" || told[2] != "ended" {
		t.Errorf("told %q", told)
	}
}

// A job whose end nobody will tell any more is found to have ended.
func TestWatchOfAnEndedJob(t *testing.T) {
	_, c := bed(t, embedded.Operator)
	first, err := c.Watch("over")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := c.Submit(soon(t), "echo", "print 1", client.Options{ID: "over"}); err != nil {
		t.Fatal(err)
	}
	for err == nil { // all of it is told then
		_, err = first.Next(soon(t))
	}
	w, err := c.Watch("over")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if m, err := w.Next(soon(t)); !errors.Is(err, io.EOF) {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := c.Watch("a.b"); err == nil {
		t.Error("a bad id got into a subject")
	}
}

// Nothing comes any more over a client that was closed, and that is said.
func TestWatchOfAClosedClient(t *testing.T) {
	d, _ := bed(t, embedded.Operator)
	c, err := d.connect(soon(t), embedded.Operator)
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Watch("")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := w.Next(soon(t))
		ended <- err
	}()
	c.Close()
	if err := <-ended; !errors.Is(err, nats.ErrConnectionClosed) {
		t.Error(err)
	}
}

// Who may only observe sees all jobs, and the end of one.
func TestWatchAsObserver(t *testing.T) {
	d, c := bed(t, embedded.Operator)
	o, err := d.connect(soon(t), embedded.Observer)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	all, err := o.Watch("")
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	one, err := o.Watch("seen")
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	if _, err := c.Submit(soon(t), "echo", "fail", client.Options{ID: "seen"}); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*client.Watch{all, one} {
		for {
			m, err := w.Next(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			if e, last := m.Event.(events.JobEnded); last {
				if e.Reason != "exit 3" {
					t.Errorf("%+v", e)
				}
				break
			}
		}
	}
	if _, err := one.Next(soon(t)); !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %v", err)
	}
}
