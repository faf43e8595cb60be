package events_test

import (
	"fmt"
	"testing"

	"herosup/events"
)

// The short way and the server's never bring a message twice, what others publish
// comes as well, and a subscription that has ended gets nothing.
func TestLocalBringsEachOnce(t *testing.T) {
	s := server(t)
	out, in := bus(t, s, "out"), bus(t, s, "in")
	all := subscribe(t, in, events.Facts, events.OrdersOf("process", events.LocalNode))
	some := subscribe(t, in, events.Pattern("evt.job.queued.*.j7"))
	gone := subscribe(t, in, events.Facts)
	gone.Unsubscribe()
	const n = 100
	for i := range n {
		publish(t, out, events.JobQueued{Type: "bash", Job: fmt.Sprint("j", i)})
		publish(t, out, events.StopProcess{Node: events.LocalNode, Actor: fmt.Sprint("bash_", i)})
	}
	other := []byte(`{"specversion":"1.0","id":"x","source":"elsewhere","type":"hero.job.cancelled.v1","time":"2026-01-02T03:04:05Z","data":{}}`)
	if err := out.Conn().Publish("hero.evt.job.cancelled.bash.j", other); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*events.Bus{out, in} {
		if err := b.Flush(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(all.C); got != 2*n+1 {
		t.Errorf("%d messages, want %d", got, 2*n+1)
	}
	if got := len(some.C); got != 1 {
		t.Errorf("%d messages of one job, want 1", got)
	}
	if got := len(gone.C); got != 0 {
		t.Errorf("%d messages behind the end", got)
	}
}

// A closed Bus hears nothing any more, and the others go on.
func TestCloseEndsTheShortWay(t *testing.T) {
	s := server(t)
	out, in, ends := bus(t, s, "out"), bus(t, s, "in"), bus(t, s, "ends")
	here, gone := subscribe(t, in, events.Facts), subscribe(t, ends, events.Facts)
	ends.Close()
	publish(t, out, events.RedisBack{})
	next(t, here)
	if len(gone.C) != 0 {
		t.Error("a closed bus heard something")
	}
	if err := ends.Publish(events.RedisBack{}); err == nil {
		t.Error("a closed bus said something")
	}
}

// What is said in answer to a fact reaches nobody before the fact itself: the keeper says that an actor runs because
// it heard that its job began, and whoever heard that first would count the job twice.
func TestNothingIsHeardBeforeItsCause(t *testing.T) {
	s := server(t)
	out, answers, in := bus(t, s, "out"), bus(t, s, "answers"), bus(t, s, "in")
	first := subscribe(t, answers, events.Pattern("evt.job.queued.>"))
	for range 20 { // each makes the way from the first to the last longer
		subscribe(t, answers, events.Pattern("evt.job.queued.>"))
	}
	last := subscribe(t, in, events.Pattern("evt.job.>"))
	const n = 5000
	done := make(chan error, 1)
	go func() {
		for range n {
			m, err := first.Open(<-first.C)
			if err != nil {
				done <- err
				return
			}
			e := m.Event.(events.JobQueued)
			if err := answers.Publish(events.JobCancelled{Type: e.Type, Job: e.Job}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	queued := map[string]bool{}
	for i := range n {
		publish(t, out, events.JobQueued{Type: "bash", Job: fmt.Sprint("j", i)})
		for answered := false; !answered; {
			switch e := next(t, last).Event.(type) {
			case events.JobQueued:
				queued[e.Job] = true
			case events.JobCancelled:
				if answered = true; !queued[e.Job] {
					t.Fatalf("%s: the answer came before the fact", e.Job)
				}
			}
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
