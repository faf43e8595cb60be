package main

import (
	"testing"
	"time"

	"herosup/events"
)

// What ends the wait for another process, and with which words; "" for none.
func TestWaitForAnotherProcess(t *testing.T) {
	old, next := events.Incarnation{Boot: "0a1b2c3d", Start: 1, PID: 11}, events.Incarnation{Boot: "0a1b2c3d", Start: 2, PID: 12}
	third := events.Incarnation{Boot: "0a1b2c3d", Start: 3, PID: 13}
	moved := func(to string, i events.Incarnation) events.Event {
		return events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: to, Incarnation: i, Reason: "x"}
	}
	failed := events.ProcessStartFailed{Pool: "bash", Actor: "bash_1", Reason: "no program"}
	kept := failed
	kept.Kept = old
	rejected := func(command string) events.Event {
		return events.CommandRejected{Command: command, Actor: "bash_1", Reason: "restart bash_1: PID 11 lives on"}
	}
	for name, c := range map[string]struct {
		answer  string
		earlier []events.Event // told before the order was taken
		heard   []events.Event
		waits   bool
		fault   string
	}{
		"replaced":              {"recycling", nil, []events.Event{moved("restarting", old), moved("starting", next), moved("idle", next)}, false, ""},
		"as it was":             {"recycling", nil, []events.Event{moved("recycling", old), moved("idle", old)}, true, ""},
		"left alone":            {"recycling", nil, []events.Event{kept}, false, "bash_1 was not restarted and works on as it was: no program"},
		"without a next":        {"recycling", nil, []events.Event{failed}, false, "bash_1 did not start: no program"},
		"stopped":               {"recycling", nil, []events.Event{moved("stopped", old)}, false, "bash_1 is stopped: x"},
		"quarantined":           {"restarting", nil, []events.Event{moved("quarantined", old)}, false, "bash_1 is quarantined: x"},
		"it was stopping":       {"stopping", nil, []events.Event{moved("stopped", old)}, true, ""},
		"and is started":        {"stopping", nil, []events.Event{moved("stopped", old), moved("starting", old), moved("idle", next)}, false, ""},
		"and is stopped again":  {"stopping", nil, []events.Event{moved("stopped", old), moved("starting", old), moved("stopped", next)}, false, "bash_1 is stopped: x"},
		"zinit refuses":         {"recycling", nil, []events.Event{rejected("process-restart")}, false, "bash_1 was not restarted: restart bash_1: PID 11 lives on"},
		"zinit refuses to kill": {"recycling", nil, []events.Event{rejected("process-kill")}, false, "bash_1 was not restarted: restart bash_1: PID 11 lives on"},
		"an earlier restart":    {"recycling", []events.Event{moved("starting", next), moved("idle", next)}, nil, true, ""},
		"and then this one's":   {"recycling", []events.Event{moved("idle", next)}, []events.Event{moved("recycling", next), moved("idle", third)}, false, ""},
		"it keeps that one's":   {"recycling", []events.Event{moved("idle", next)}, []events.Event{moved("idle", next)}, true, ""},
		"earlier left alone":    {"recycling", []events.Event{kept}, nil, true, ""},
		"earlier did not start": {"restarting", []events.Event{failed, rejected("process-restart"), moved("stopped", old), moved("quarantined", old)}, nil, true, ""},
		"another's command":     {"recycling", nil, []events.Event{rejected("actor-ping")}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := &others{ordered: ordered{taken: map[string]time.Time{}}, missing: map[string]events.Incarnation{"bash_1": old}, ending: map[string]bool{}}
			at := time.Unix(1000, 0)
			w.answered("bash_1", c.answer, at)
			for _, e := range c.earlier {
				w.take(events.Message{Event: e, Time: at.Add(-time.Microsecond)})
			}
			for i, e := range c.heard {
				w.take(events.Message{Event: e, Time: at.Add(time.Duration(i))})
			}
			var got string
			for _, err := range w.faults {
				got += err.Error()
			}
			if waits := len(w.missing) > 0; waits != c.waits || got != c.fault {
				t.Errorf("waits %v, fault %q; want %v, %q", waits, got, c.waits, c.fault)
			}
		})
	}
}

// A state that was told before the order was taken ends no wait; the answer's and those behind it do.
func TestWaitForAState(t *testing.T) {
	at := time.Unix(1000, 0)
	moved := func(to string, when time.Duration) events.Message {
		return events.Message{Event: events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: to}, Time: at.Add(when)}
	}
	for name, c := range map[string]struct {
		answer string
		heard  []events.Message
		waits  bool
	}{
		"it is so":            {"stopped", nil, false},
		"it becomes so":       {"draining", []events.Message{moved("stopping", 1), moved("stopped", 2)}, false},
		"at that very moment": {"draining", []events.Message{moved("stopped", 0)}, false},
		"it was so before":    {"draining", []events.Message{moved("stopped", -2), moved("starting", -1)}, true},
		"it is so no more":    {"stopped", []events.Message{moved("starting", 1)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := &states{ordered: ordered{taken: map[string]time.Time{}}, done: []string{"stopped"}, missing: map[string]bool{}}
			w.answered("bash_1", c.answer, at)
			for _, m := range c.heard {
				w.take(m)
			}
			w.take(events.Message{Event: events.ActorStateChanged{Pool: "bash", Actor: "bash_2", To: "idle"}, Time: at.Add(1)}) // nobody asked
			if waits := len(w.missing) > 0; waits != c.waits {
				t.Errorf("waits: %v", w.missing)
			}
		})
	}
}
