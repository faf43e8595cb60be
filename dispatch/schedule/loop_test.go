package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"herosup/events"
)

func add(name, cron string) events.ScheduleAdd {
	return events.ScheduleAdd{Schedule: name, Cron: cron, Type: "bash", Script: "true"}
}

func TestFiresAtItsTimes(t *testing.T) {
	bubble(t, func(b *bed) {
		l := b.start(nil)
		defer l.end()
		e := add("tick", "*/20 * * * *")
		e.Headers = map[string]string{"Hero-Timeout": "30", "Hero-Env-WHO": "me"}
		v := b.must(e)
		if v.Next.Unix() != epoch(0, 20, 0) || v.Source != FromCommand || v.Missed != Once || v.Timezone != "UTC" {
			t.Errorf("answer: %+v", v)
		}
		b.wantTold("added tick, next 1 00:20:00")
		b.pass(19*time.Minute + 59*time.Second)
		b.wantTold()
		b.pass(time.Second)
		first, second := fmt.Sprintf("tick-%d", epoch(0, 20, 0)), fmt.Sprintf("tick-%d", epoch(0, 40, 0))
		b.wantTold("fired " + first + " for 1 00:20:00")
		b.pass(20 * time.Minute)
		b.wantTold("fired " + second + " for 1 00:40:00")
		if got := b.jobs(); !slices.Equal(got, []string{first, second}) {
			t.Errorf("log: %q", got)
		}
		s, err := b.js.Stream(b.soon(), events.JobsStream)
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.GetLastMsgForSubject(b.soon(), "hero.cmd.job.submit.bash")
		if err != nil {
			t.Fatal(err)
		}
		if string(m.Data) != "true" || m.Header.Get("Hero-Timeout") != "30" || m.Header.Get("Hero-Env-WHO") != "me" {
			t.Errorf("message: %q %v", m.Data, m.Header)
		}
		if v := b.must(events.ScheduleRemove{Schedule: "tick"}); v.Fired != 2 || v.LastJob != second {
			t.Errorf("removed: %+v", v)
		}
		b.pass(time.Hour)
		b.wantTold("removed tick: asked for by command")
	})
}

func TestPauseAndResume(t *testing.T) {
	bubble(t, func(b *bed) {
		l := b.start(nil)
		defer l.end()
		b.must(add("tick", "@every 10m"))
		b.pass(10 * time.Minute)
		b.must(events.SchedulePause{Schedule: "tick"})
		b.must(events.SchedulePause{Schedule: "tick"}) // no second fact
		b.told()
		b.pass(3 * time.Hour)
		b.wantTold()
		b.must(events.ScheduleResume{Schedule: "tick"})
		b.must(events.ScheduleResume{Schedule: "tick"})
		b.wantTold("resumed tick, next 1 03:20:00")
		b.pass(10 * time.Minute)
		b.wantTold(fmt.Sprintf("fired tick-%d for 1 03:20:00", epoch(3, 20, 0)))
	})
}

// A schedule survives, and says what became of the times in which nobody was there.
func TestADaemonThatWasAway(t *testing.T) {
	bubble(t, func(b *bed) {
		l := b.start(nil)
		b.must(add("one", "*/30 * * * *"))
		skip := add("none", "*/30 * * * *")
		skip.Missed = Skip
		b.must(skip)
		later := add("tomorrow", "0 0 2 1 *")
		b.must(later)
		b.pass(35 * time.Minute)
		b.told()
		l.end()
		b.pass(3 * time.Hour) // it is 03:35
		l = b.start(nil)
		b.wantTold(
			"missed 6 of none, 1 01:00:00 to 1 03:30:00 (skip)",
			fmt.Sprintf("fired one-%d for 1 03:30:00", epoch(3, 30, 0)),
			"missed 5 of one, 1 01:00:00 to 1 03:00:00 (once)",
		)
		b.pass(25 * time.Minute)
		b.wantTold(fmt.Sprintf("fired none-%d for 1 04:00:00", epoch(4, 0, 0)), fmt.Sprintf("fired one-%d for 1 04:00:00", epoch(4, 0, 0)))
		var list []View
		if err := b.ask(events.ScheduleList{}, &list); err != nil {
			t.Fatal(err)
		}
		if len(list) != 3 || list[0].Name != "none" || list[0].Fired != 2 || list[0].MissedCount != 6 || list[1].MissedCount != 5 || list[2].Fired != 0 {
			t.Errorf("%+v", list)
		}
		l.end()
	})
}

// A daemon that dies at any step of a firing: the job is in the log once, whether
// the next one comes at once, after the log has forgotten the id, or much later.
func TestACrashAtEachStepFiresOnce(t *testing.T) {
	for _, step := range []string{"publish", "record", "tell"} {
		for _, away := range []time.Duration{0, 90 * time.Second, 5 * time.Minute, 50 * time.Minute} {
			t.Run(step+"/"+away.String(), func(t *testing.T) {
				bubble(t, func(b *bed) {
					l := b.start(func(at string) error {
						if at == step {
							return errStopped
						}
						return nil
					})
					b.must(add("hourly", "@hourly"))
					b.pass(time.Hour)
					l.end()
					id := fmt.Sprintf("hourly-%d", epoch(1, 0, 0))
					if len(b.jobs()) > 0 { // dispatch tells of it, which the history keeps
						if err := b.bus.Publish(events.JobQueued{Type: "bash", Job: id}); err != nil {
							t.Fatal(err)
						}
					}
					b.pass(away)
					l = b.start(nil)
					b.pass(time.Minute)
					if got := b.jobs(); !slices.Equal(got, []string{id}) {
						t.Errorf("log: %q, want %s once", got, id)
					}
					var list []View
					if err := b.ask(events.ScheduleList{}, &list); err != nil || len(list) != 1 || list[0].Fired != 1 || list[0].MissedCount != 0 || list[0].LastJob != id {
						t.Errorf("%v %+v", err, list)
					}
					l.end()
				})
			})
		}
	}
}

// A daemon that dies behind the submission for the last of several missed times: it is not made again, whenever the next one comes.
func TestACrashBehindTheJobForWhatWasMissed(t *testing.T) {
	bubble(t, func(b *bed) {
		l := b.start(nil)
		b.must(add("daily", "@daily"))
		l.end()
		b.pass(3*24*time.Hour + time.Hour)
		l = b.start(func(at string) error {
			if at == "record" {
				return errStopped
			}
			return nil
		})
		err := <-l.done // it has died
		l.done <- err
		l.end()
		id := fmt.Sprintf("daily-%d", epoch(0, 0, 0)+3*24*3600)
		if got := b.jobs(); !slices.Equal(got, []string{id}) {
			t.Fatalf("log: %q", got)
		}
		if err := b.bus.Publish(events.JobQueued{Type: "bash", Job: id}); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Hour)
		l = b.start(nil)
		b.pass(time.Minute)
		if got := b.jobs(); !slices.Equal(got, []string{id}) {
			t.Errorf("log: %q, want %s once", got, id)
		}
		var list []View
		if err := b.ask(events.ScheduleList{}, &list); err != nil || len(list) != 1 || list[0].Fired != 1 || list[0].MissedCount != 2 || list[0].LastJob != id {
			t.Errorf("%v %+v", err, list)
		}
		b.told()
		l.end()
	})
}

// Two daemons on one bus: one job and one fact for each due time, whoever is first.
func TestTwoDaemonsFireOnce(t *testing.T) {
	bubble(t, func(b *bed) {
		one, two := b.start(nil), b.start(nil)
		b.must(add("tick", "@every 30s"))
		b.told()
		b.pass(10 * time.Minute)
		want := map[string]int{}
		for n := int64(1); n <= 20; n++ {
			want[fmt.Sprintf("tick-%d", epoch(0, 0, 0)+30*n)] = 1
		}
		got := map[string]int{}
		for _, id := range b.jobs() {
			got[id]++
		}
		facts := b.told()
		if len(got) != 20 || len(facts) != 20 {
			t.Errorf("%d jobs and %d facts, want 20 of each:\n%q", len(got), len(facts), facts)
		}
		for id := range want {
			if got[id] != 1 || !slices.ContainsFunc(facts, func(f string) bool { return strings.HasPrefix(f, "fired "+id+" ") }) {
				t.Errorf("%s: %d messages", id, got[id])
			}
		}
		// The other one's commands reach both.
		two.end()
		b.must(events.ScheduleRemove{Schedule: "tick"})
		b.pass(time.Minute)
		b.wantTold("removed tick: asked for by command")
		one.end()
	})
}

func TestRefusals(t *testing.T) {
	bubble(t, func(b *bed) {
		l := b.start(nil, Definition{Name: "kept", Cron: "@daily", Type: "bash", Script: "true"})
		defer l.end()
		b.must(add("tick", "@hourly"))
		b.told()
		with := func(f func(*events.ScheduleAdd)) events.ScheduleAdd {
			e := add("new", "@hourly")
			f(&e)
			return e
		}
		for _, c := range []struct {
			e            events.Event
			code, reason string
			hint         string
		}{
			{with(func(e *events.ScheduleAdd) { e.Cron = "61 * * * *" }), "bad_cron", `minute "61"`, "0-59"},
			{with(func(e *events.ScheduleAdd) { e.Timezone = "Mars" }), "bad_timezone", "Mars", "IANA"},
			{with(func(e *events.ScheduleAdd) { e.Missed = "all" }), "bad_missed", `"all"`, "once or skip"},
			{with(func(e *events.ScheduleAdd) { e.Script = " " }), "bad_script", "empty", ""},
			{with(func(e *events.ScheduleAdd) { e.Type = "a.b" }), "bad_type", "a.b", ""},
			{with(func(e *events.ScheduleAdd) { e.Headers = map[string]string{"Hero-Timeout": "soon"} }), "bad_headers", "Hero-Timeout", "seconds"},
			{with(func(e *events.ScheduleAdd) { e.Headers = map[string]string{"Hero-Job-Id": "x"} }), "bad_headers", "can not be set", "<schedule>-"},
			{with(func(e *events.ScheduleAdd) { e.Headers = map[string]string{"Hero-Start-By": "2026-11-25T04:00:00Z"} }), "bad_headers", "more than one due time", "seconds"},
			{with(func(e *events.ScheduleAdd) { e.Headers = map[string]string{"hero-prerequisites": "x"} }), "bad_headers", "can not wait for another job", "script"},
			{with(func(e *events.ScheduleAdd) { e.Headers = map[string]string{"Nats-Msg-Id": "x"} }), "bad_headers", "Nats-Msg-Id", "Hero-"},
			{with(func(e *events.ScheduleAdd) { e.Schedule = strings.Repeat("x", 49) }), "bad_name", "at most 48", ""},
			{add("tick", "@daily"), "exists", "another", "--replace"},
			{add("kept", "@hourly"), "in_configuration", "configuration file", "there"},
			{events.ScheduleRemove{Schedule: "kept"}, "in_configuration", "configuration file", "paused"},
			{events.ScheduleRemove{Schedule: "tik"}, "unknown_schedule", "tik", "did you mean tick?"},
			{events.SchedulePause{Schedule: "nothing"}, "unknown_schedule", "nothing", "get schedules"},
			{events.ScheduleResume{Schedule: "nothing"}, "unknown_schedule", "nothing", "get schedules"},
		} {
			var r *events.Refusal
			if err := b.ask(c.e, nil); !errors.As(err, &r) {
				t.Errorf("%+v: %v, want a refusal", c.e, err)
				continue
			}
			if r.Code != c.code || !strings.Contains(r.Reason, c.reason) || !strings.Contains(r.Hint, c.hint) {
				t.Errorf("%+v: %+v", c.e, r)
			}
			if got := b.told(); len(got) != 1 || !strings.HasPrefix(got[0], "rejected schedule-") {
				t.Errorf("%+v: told %q", c.e, got)
			}
		}
		// The same again is no fault, and tells nothing.
		b.must(add("tick", "@hourly"))
		b.wantTold()
		e := add("tick", "@daily")
		e.Replace = true
		b.must(e)
		b.wantTold("added tick, next 2 00:00:00")
	})
}

// What the file says is in the bucket; what it drops goes; a pause stays; and a
// change of the script alone does not lose a time that is due.
func TestConfiguration(t *testing.T) {
	bubble(t, func(b *bed) {
		def := func(name, cron, script string) Definition {
			return Definition{Name: name, Cron: cron, Type: "bash", Script: script}
		}
		l := b.start(nil, def("a", "@hourly", "true"), def("b", "@hourly", "true"), def("c", "@hourly", "true"))
		b.must(add("d", "0 12 * * *"))
		b.must(events.SchedulePause{Schedule: "b"})
		b.told()
		l.end()
		b.pass(90 * time.Minute)
		l = b.start(nil, def("a", "@hourly", "false"), def("b", "@hourly", "true"))
		b.wantTold(
			"added a, next 1 01:00:00", "removed c: no longer in the configuration",
			fmt.Sprintf("fired a-%d for 1 01:00:00", epoch(1, 0, 0)),
		)
		l.end()
		l = b.start(nil, def("a", "@daily", "false"), def("b", "@hourly", "true"))
		b.wantTold("added a, next 2 00:00:00")
		var list []View
		if err := b.ask(events.ScheduleList{}, &list); err != nil {
			t.Fatal(err)
		}
		if len(list) != 3 || !list[1].Paused || list[1].Source != FromConfig || list[2].Name != "d" {
			t.Errorf("%+v", list)
		}
		l.end()
	})
}

// A definition that is no JSON is shown under its name, and can be removed.
func TestADefinitionThatCanNotBeRead(t *testing.T) {
	bubble(t, func(b *bed) {
		kv, err := b.js.KeyValue(b.soon(), events.SchedulesBucket)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Put(b.soon(), "def.odd", []byte(`{"cron": 5}`)); err != nil {
			t.Fatal(err)
		}
		l := b.start(nil)
		defer l.end()
		var list []View
		if err := b.ask(events.ScheduleList{}, &list); err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || list[0].Name != "odd" || list[0].Fault == "" {
			t.Errorf("%+v", list)
		}
		b.must(events.ScheduleRemove{Schedule: "odd"})
		if err := b.ask(events.ScheduleList{}, &list); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// The library gives a watch up where the server, just started, can not have it: the
// schedules are read again, and nothing that was due meanwhile is forgotten.
func TestAWatchThatEndsIsBegunAgain(t *testing.T) {
	bubble(t, func(b *bed) {
		l := b.start(nil)
		defer l.end()
		b.must(add("tick", "*/20 * * * *"))
		if err := l.c.book.watch.Stop(); err != nil {
			t.Fatal(err)
		}
		b.wantTold("added tick, next 1 00:20:00")
		b.pass(20 * time.Minute)
		b.wantTold(fmt.Sprintf("fired tick-%d for 1 00:20:00", epoch(0, 20, 0)))
		b.must(events.ScheduleRemove{Schedule: "tick"})
	})
}

// Without a connection there is nothing left to do: it says so instead of going round.
func TestALostConnectionEndsIt(t *testing.T) {
	bubble(t, func(b *bed) {
		l := b.start(nil)
		l.bus.Close()
		select {
		case err := <-l.done:
			if err == nil || !strings.Contains(err.Error(), "ended") {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(time.Hour):
			t.Error("it goes on")
		}
		l.cancel()
	})
}
