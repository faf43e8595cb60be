package dispatch

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"herosup/dispatch/store"
	"herosup/events"
)

// What a submission does not say is as the settings have it; a 0 is said, whichever way it is sent.
func TestWhatIsNotSaidIsAsTheSettingsHaveIt(t *testing.T) {
	std := Defaults{Timeout: 9 * time.Second, Retries: 3}
	for name, c := range map[string]struct {
		header nats.Header
		json   string // the same as JSON
		want   Defaults
	}{
		"nothing":      {nil, `{}`, std},
		"null":         {nil, `{"timeout":null,"retries":null}`, std},
		"none of both": {nats.Header{"hero-timeout": {"0"}, "hero-retries": {"0"}}, `{"timeout":0,"retries":0}`, Defaults{}},
		"timeout":      {one("Hero-Timeout", "1.5"), `{"timeout":1.5}`, Defaults{Timeout: 1500 * time.Millisecond, Retries: 3}},
		"retries":      {one("Hero-Retries", "1"), `{"retries":1}`, Defaults{Timeout: 9 * time.Second, Retries: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var create events.JobCreate
			if err := json.Unmarshal([]byte(c.json), &create); err != nil {
				t.Fatal(err)
			}
			_, fromJSON, _ := FromCreate(create)
			for _, h := range []nats.Header{c.header, fromJSON} {
				s, r := logged{Type: "bash", Header: h, Script: []byte("x"), Stream: "HERO_JOBS", Sequence: 7}.submission(std)
				if got := (Defaults{Timeout: s.Timeout, Retries: s.Retries}); r != nil || got != c.want {
					t.Errorf("%v: %+v %v", h, got, r)
				}
			}
		})
	}
}

// A record is written into the log with all that it has: the settings have nothing to add.
func TestARecordLeavesNothingToTheSettings(t *testing.T) {
	rec := store.Record{ID: "a", Type: "bash", Script: "x"}
	create, err := adoption(rec, "bash")
	if err != nil {
		t.Fatal(err)
	}
	_, pushed, _ := FromCreate(create)
	_, revived, _, err := revival(rec)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []nats.Header{pushed, revived} {
		if s, r := parse("bash", h, []byte("x"), time.Now(), Defaults{Timeout: time.Second, Retries: 3}); r != nil || s.Retries != 0 || s.Timeout != 0 {
			t.Errorf("%v: %+v %v", h, s, r)
		}
	}
}

// What a job was submitted with and is not past when it is revived is in the message that revives it: a refill has nothing else.
func TestARevivalSaysWhatTheSubmissionSaid(t *testing.T) {
	rec := store.RecordOf("a", map[string]string{
		"type": "bash", "script": "x", "timeout": "7", "retries": "2", "opts": "o00000000000000000007 p3 h1000 k1500 n u", "env_vars": `{"A":"b"}`,
		"caller_id": "me", "context_id": "there",
	})
	_, h, script, err := revival(rec)
	if err != nil {
		t.Fatal(err)
	}
	got, r := parse("bash", h, script, time.Now(), Defaults{Timeout: time.Second, Retries: 3})
	want := store.Submission{
		ID: "a", Type: "bash", Script: "x", Timeout: 7 * time.Second, Retries: 2, Priority: 3, KeepResult: new(1500 * time.Millisecond),
		Env: map[string]string{"A": "b"}, Caller: "me", Context: "there",
	}
	if d := cmp.Diff(want, got); d != "" || r != nil {
		t.Errorf("%s %v", d, r)
	}
}

// The settings of the day of its acceptance are the job's for good: over its end and its revival as well. Only a
// Redis that forgot it has it read from the log anew.
func TestSettingsAreFixedAtTheAcceptance(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		b.cfg.Defaults = map[string]Defaults{"": {Retries: 9}, "bash": {Timeout: 9 * time.Second, Retries: 1}}
		c := b.up()
		show := func(id string) (v JobView) {
			t.Helper()
			b.eventually("it is there", func() bool { return b.request(events.JobShow{Job: id}, &v) == nil })
			return v
		}
		said, silent := b.submit("x", Options{Timeout: new(time.Duration(0)), Retries: new(0)}), b.submit("x", Options{})
		if v := show(said); v.Retries != 0 || v.Timeout != 0 {
			t.Errorf("said none: %+v", v)
		}
		if v := show(silent); v.Retries != 1 || v.Timeout != 9 {
			t.Errorf("said nothing: %+v", v)
		}
		if err := c.stop(); err != nil {
			t.Fatal(err)
		}
		b.cfg.Defaults = map[string]Defaults{"": {Retries: 5}}
		c = b.up()
		b.actor("bash_1", func(context.Context, store.Claimed) (store.Outcome, bool) {
			return store.Outcome{Failed: true, Error: "no", Reason: "exit 3"}, true
		})
		if dead := expect(b, func(e events.JobDead) bool { return e.Job == silent }); dead.Attempt != 2 {
			t.Errorf("%+v", dead)
		}
		b.eventually("it is buried", func() bool { return len(c.buried()) == 1 })
		if r := b.request(events.JobRetry{Job: silent}, nil); r != nil {
			t.Fatal(r)
		}
		if dead := expectNth(b, 2, func(e events.JobDead) bool { return e.Job == silent }); dead.Attempt != 4 {
			t.Errorf("revived: %+v", dead)
		}
		late := b.submit("x", Options{Delay: time.Hour})
		if v := show(late); v.Retries != 5 || v.Timeout != 0 {
			t.Errorf("another day: %+v", v)
		}
		if err := c.stop(); err != nil {
			t.Fatal(err)
		}
		if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
			t.Fatal(err)
		}
		b.cfg.Defaults = map[string]Defaults{"": {Retries: 2}}
		b.up()
		if v := show(late); v.Retries != 2 {
			t.Errorf("read from the log again: %+v", v)
		}
	})
}
