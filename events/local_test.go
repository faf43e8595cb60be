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
