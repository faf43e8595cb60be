package monitor

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"herosup/events"
)

var update = flag.Bool("update", false, "write the golden files anew")

var epoch = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func inc(pid int) events.Incarnation {
	return events.Incarnation{Boot: "0a1b2c3d", PID: pid, Start: uint64(pid) * 10}
}

func config() Config {
	return Config{Pools: []PoolConfig{
		{Name: "bash", Types: []string{"bash"}, Min: 0, Max: 12, Health: DefaultHealth()},
		{Name: "py", Types: []string{"Python"}, Min: 1, Max: 2, Health: DefaultHealth()},
	}}
}

// at folds facts, one second after the other.
func at(v *View, list ...events.Event) {
	for i, e := range list {
		v.Fold(e, epoch.Add(time.Duration(i)*time.Second))
	}
}

func moved(actor, from, to string, pid int) events.ActorStateChanged {
	e := events.ActorStateChanged{Pool: actor[:strings.LastIndexByte(actor, '_')], Actor: actor, From: from, To: to}
	if pid > 0 {
		e.Incarnation = inc(pid)
	}
	return e
}

// story is a day in the life of a small system.
func story() []events.Event {
	return []events.Event{
		events.QueueMeasured{Type: "bash"},
		events.ProcessObserved{Pool: "bash", Actor: "bash_1", State: "down"},
		moved("bash_1", "", "stopped", 0),
		events.SystemStarted{PID: 4711, Version: "0.1.0", State: "/state"},
		events.JobQueued{Type: "bash", Job: "j1", Ready: 1},
		events.JobQueued{Type: "bash", Job: "j2", Ready: 2},
		events.PoolDecided{Pool: "bash", Have: 0, Want: 2, Start: []string{"bash_1", "bash_2"}, Limiting: "none", Reason: "bash 0→2: 2 ready, 0 running, target 1 per actor; limited by nothing"},
		moved("bash_1", "stopped", "starting", 0),
		moved("bash_2", "", "starting", 0),
		events.ProcessStarted{Pool: "bash", Actor: "bash_1", Incarnation: inc(101)},
		events.ProcessReady{Pool: "bash", Actor: "bash_1", Incarnation: inc(101)},
		moved("bash_1", "starting", "idle", 101),
		events.JobStarted{Type: "bash", Job: "j1", Actor: "bash_1", Incarnation: inc(101), Attempt: 1, Timeout: 60, Wait: 7},
		moved("bash_1", "idle", "running", 101),
		events.ActorRegistered{Pool: "bash", Actor: "bash_2", Type: "bash", Incarnation: inc(102)},
		events.JobStarted{Type: "bash", Job: "j2", Actor: "bash_2", Incarnation: inc(102), Attempt: 1},
		moved("bash_2", "idle", "running", 102),
		// bash_1 dies under its job, which runs again on bash_2 after j2.
		events.ProcessExited{Pool: "bash", Actor: "bash_1", Incarnation: inc(101), ExitCode: -1, Signal: "killed"},
		moved("bash_1", "running", "failed", 101),
		events.JobRetried{Type: "bash", Job: "j1", Attempt: 1, Actor: "bash_1", Incarnation: inc(101), Crashes: 1, Ready: 1},
		events.ProcessStarted{Pool: "bash", Actor: "bash_1", Incarnation: inc(103)},
		moved("bash_1", "failed", "starting", 103),
		events.JobEnded{Type: "bash", Job: "j2", Actor: "bash_2", Incarnation: inc(102), Attempt: 1, Outcome: events.Finished},
		events.JobStarted{Type: "bash", Job: "j1", Actor: "bash_2", Incarnation: inc(102), Attempt: 2},
		moved("py_1", "", "starting", 0),
		moved("py_1", "starting", "quarantined", 0),
		events.ActorQuarantined{Pool: "py", Actor: "py_1", Exits: 5, Within: 120, Reason: "5 exits within 2m0s"},
		events.PoolDegraded{Pool: "py", Reason: "wants 1, can have 0: 1 quarantined"},
		events.PoolScaled{Pool: "bash", Count: 3, Until: epoch.Add(time.Hour)},
		events.PoolPaused{Pool: "py"},
		events.QueueUnserved{Type: "v", Ready: 3, Reason: "no pool runs jobs of type v"},
		events.QueueMeasured{Type: "v", Ready: 4, Delayed: 1, OldestWait: 9.87654},
		events.RedisLost{Reason: "dial unix redis.sock: connection refused"},
		events.LogLost{Reason: "write error"},
		events.CommandRejected{Command: "actor-start", Code: "unknown_actor", Reason: "actor bash_99 is above the maximum 12 of its pool", Actor: "bash_99"},
		events.ActorPinged{Pool: "bash", Actor: "bash_77", Nonce: "n"}, // unknown: no matter
		events.JobEnded{Type: "bash", Job: "j9", Outcome: events.Errored, Reason: "cancelled"},
	}
}

// The answers as programs read them: fields may be added, nothing else.
func TestAnswersGolden(t *testing.T) {
	v := NewView(config())
	at(v, story()...)
	v.Missed(3, "herosup/x/fsm", epoch.Add(50*time.Second))
	now := epoch.Add(time.Minute)
	golden(t, "status.json", v.Status(now))
	golden(t, "pools.json", v.Pools(now))
	golden(t, "actors.json", v.Actors(""))
	fresh := NewView(Config{})
	golden(t, "nothing.json", map[string]any{"status": fresh.Status(now), "pools": fresh.Pools(now), "actors": fresh.Actors("")})
}

func golden(t *testing.T, name string, v any) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "null") {
		t.Errorf("%s holds a null", name)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("%s (run with -update if this is meant):\n%s", file, d)
	}
}

// Ends that counted for nothing are counted, also those that nobody told of.
func TestStaleEndsAreCounted(t *testing.T) {
	v := NewView(config())
	at(v, events.JobStale{Type: "bash", Job: "j1", Actor: "bash_1", Attempt: 1, Outcome: events.Finished},
		events.JobStale{Type: "bash", Job: "j2", Actor: "bash_1", Attempt: 1, Outcome: events.Errored, Untold: 7})
	for _, q := range v.Status(epoch).Queues {
		if q.Type == "bash" && (q.Stale != 9 || q.Finished+q.Failed != 0) {
			t.Errorf("%+v", q)
		}
	}
}

// What the next process of a slot shows is its own.
func TestNewProcessOwesNothingForTheOld(t *testing.T) {
	v := NewView(config())
	at(v,
		moved("bash_1", "", "idle", 101),
		events.JobStarted{Type: "bash", Job: "j1", Actor: "bash_1", Incarnation: inc(101), Attempt: 1},
		events.ActorRegistered{Pool: "bash", Actor: "bash_1", Incarnation: inc(102)}, // its exit was not seen
	)
	a := v.Actors("bash")[0]
	if a.PID != 102 || a.Job != "" || a.PingsLost != 0 || !a.JobSince.IsZero() {
		t.Errorf("%+v", a)
	}
	// A late word about the old process changes nothing of the new one.
	at(v, events.JobStarted{Type: "bash", Job: "j2", Actor: "bash_1", Incarnation: inc(102), Attempt: 1},
		events.ProcessExited{Pool: "bash", Actor: "bash_1", Incarnation: inc(101), ExitCode: 1, OutOfMemory: true},
		events.JobRetried{Type: "bash", Job: "j1", Actor: "bash_1", Incarnation: inc(101), Attempt: 1})
	a = v.Actors("bash")[0]
	if a.PID != 102 || a.Job != "j2" || a.LastExit.ExitCode != 1 || !a.LastExit.OutOfMemory {
		t.Errorf("%+v", a)
	}
	at(v, moved("bash_1", "idle", "failed", 101))
	if a = v.Actors("bash")[0]; a.PID != 102 || a.Job != "j2" || a.State != "failed" {
		t.Errorf("%+v", a)
	}
}

func TestStrangersAreKeptUntilTheyStopAndAreBounded(t *testing.T) {
	v := NewView(config())
	for i := range 3 * maxStrangers {
		at(v, moved(fmt.Sprint("old_", i), "", "idle", 0), events.JobQueued{Type: fmt.Sprint("t", i), Job: "j"})
	}
	at(v, moved("bash_13", "", "idle", 0)) // beyond max, and one too many
	if n := len(v.actors); n != maxStrangers {
		t.Errorf("%d actors, want %d", n, maxStrangers)
	}
	if n := len(v.queues); n != maxTypes {
		t.Errorf("%d queues", n)
	}
	for i := range 3 * maxStrangers {
		at(v, moved(fmt.Sprint("old_", i), "idle", "stopped", 0))
	}
	at(v, moved("bash_13", "", "idle", 0), moved("bash_12", "", "stopped", 0))
	if got := v.Actors(""); len(got) != 2 || got[0].Name != "bash_12" || got[1].Name != "bash_13" {
		t.Errorf("%v", got)
	}
	at(v, events.ProcessStarted{Pool: "gone", Actor: "gone_1", Incarnation: inc(7)}, events.ProcessExited{Pool: "gone", Actor: "gone_1", Incarnation: inc(7)})
	if v.strangers != 1 || len(v.actors) != 2 {
		t.Errorf("%d strangers, %d actors", v.strangers, len(v.actors))
	}
	for range 100 {
		at(v, events.ZinitLost{Reason: "x"})
	}
	if n := len(v.status.Warnings); n != keptWarnings {
		t.Errorf("%d warnings", n)
	}
}

func TestOverrideIsShownUntilItEnds(t *testing.T) {
	v := NewView(config())
	at(v, events.PoolScaled{Pool: "bash", Count: 0, Until: epoch.Add(time.Hour)})
	if o := v.Pools(epoch.Add(59 * time.Minute))[0].Override; o == nil || o.Count != 0 {
		t.Errorf("%v", o)
	}
	if o := v.Pools(epoch.Add(time.Hour))[0].Override; o != nil {
		t.Errorf("%v", o)
	}
	at(v, events.PoolScaled{Pool: "bash", Count: 2}, events.PoolScaled{Pool: "bash", Count: -1}, events.PoolPaused{Pool: "bash"}, events.PoolResumed{Pool: "bash"})
	if p := v.Pools(epoch)[0]; p.Override != nil || p.Paused {
		t.Errorf("%+v", p)
	}
}

func TestUnservedEndsWhenNothingWaits(t *testing.T) {
	v := NewView(config())
	at(v, events.QueueUnserved{Type: "v", Ready: 1, Reason: "r"}, events.QueueUnserved{Type: "v", Ready: 10, Reason: "r"})
	if u := v.Status(epoch).Unserved; len(u) != 1 || u[0].Ready != 10 || !u[0].Since.Equal(epoch) {
		t.Errorf("%v", u)
	}
	at(v, events.QueueMeasured{Type: "v"})
	if s := v.Status(epoch); len(s.Unserved) != 0 || !s.Well {
		t.Errorf("%+v", s)
	}
}

// The picture is a function of the facts: folding them one by one with looks and
// answers in between gives what a fresh view makes of them in one go.
func TestViewEqualsARebuild(t *testing.T) {
	facts := story()
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.SliceOfN(rapid.IntRange(0, len(facts)-1), 0, 80).Draw(t, "facts")
		v := NewView(config())
		for i, n := range order {
			now := epoch.Add(time.Duration(i) * time.Second)
			v.Fold(facts[n], now)
			before := v.Status(now)
			v.Actors("")
			if d := cmp.Diff(before, v.Status(now)); d != "" {
				t.Fatalf("an answer changed the picture:\n%s", d)
			}
		}
		again := NewView(config())
		for i, n := range order {
			again.Fold(facts[n], epoch.Add(time.Duration(i)*time.Second))
		}
		now := epoch.Add(time.Hour)
		if d := cmp.Diff(v.Status(now), again.Status(now)); d != "" {
			t.Errorf("status:\n%s", d)
		}
		if d := cmp.Diff(v.Actors(""), again.Actors("")); d != "" {
			t.Errorf("actors:\n%s", d)
		}
		if !v.care.Equal(again.care) {
			t.Errorf("care at %s and %s", v.care, again.care)
		}
		for _, p := range v.Pools(now) {
			have := 0
			for _, a := range v.Actors(p.Name) {
				switch a.State {
				case starting, idle, running, pinging:
					have++
				}
			}
			if p.Have != have || p.Busy+p.Idle > p.Have || p.Backlog < 0 || p.InFlight < 0 {
				t.Errorf("%+v with %d usable actors", p, have)
			}
		}
	})
}

func TestBlockedPoolIsShownUntilItIsNot(t *testing.T) {
	v := NewView(config())
	blocked := events.PoolBlocked{Pool: "py", Reason: "python3 is not here", Hint: "install it"}
	at(v, blocked, blocked, events.PoolBlocked{Pool: "nobody's", Reason: "x"})
	// What the scaler decides meanwhile does not hide it.
	at(v, events.PoolDecided{Pool: "py", Limiting: "none", Reason: "py 0 stays"})
	s := v.Status(epoch)
	want := "pool py can not start actors: python3 is not here (hint: install it)"
	if s.Well || len(s.Findings) != 1 || s.Findings[0] != want || len(s.Warnings) != 1 || s.Warnings[0].Text != want {
		t.Errorf("findings %q, warnings %v", s.Findings, s.Warnings)
	}
	for _, p := range v.Pools(epoch) {
		if (p.Name == "py") != (p.Degraded != "") {
			t.Errorf("%s: degraded %q", p.Name, p.Degraded)
		}
	}
	at(v, events.PoolUnblocked{Pool: "py"})
	if s := v.Status(epoch); !s.Well {
		t.Errorf("findings %q", s.Findings)
	}
}

// A restart that left its process alone shows until that process is replaced or gone.
func TestARestartThatCameToNothing(t *testing.T) {
	for name, end := range map[string]events.Event{
		"replaced": events.ProcessStarted{Pool: "bash", Actor: "bash_1", Incarnation: inc(102)},
		"gone":     events.ProcessExited{Pool: "bash", Actor: "bash_1", Incarnation: inc(101)},
		"stopped":  moved("bash_1", "stopping", "stopped", 101),
	} {
		v := NewView(config())
		failed := events.ProcessStartFailed{Pool: "bash", Actor: "bash_1", Reason: "program /x does not exist", Kept: inc(101)}
		at(v, events.ProcessStarted{Pool: "bash", Actor: "bash_1", Incarnation: inc(101)},
			moved("bash_1", "recycling", "restarting", 101), failed, moved("bash_1", "restarting", "idle", 101),
			moved("bash_1", "idle", "running", 101), events.ProcessReady{Pool: "bash", Actor: "bash_1", Incarnation: inc(101)})
		const want = "actor bash_1 was not restarted and works on as it was: program /x does not exist"
		if a, s := v.Actors("")[0], v.Status(epoch); a.NotRestarted != failed.Reason || s.Well || s.Findings[0] != want {
			t.Errorf("%+v, findings %q, want %q", a, s.Findings, want)
		}
		at(v, end)
		if a, s := v.Actors("")[0], v.Status(epoch); a.NotRestarted != "" || len(s.Findings) > 0 {
			t.Errorf("%s: %+v, findings %q", name, a, s.Findings)
		}
		at(v, failed) // told late
		if a := v.Actors("")[0]; a.NotRestarted != "" {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// A log that is told to be lost again is lost since the first time, and no news.
func TestALogThatIsLostStill(t *testing.T) {
	v := NewView(config())
	at(v, events.LogLost{Reason: "x"})
	before := v.Status(epoch)
	at(v, events.SystemStarted{}, events.LogLost{Reason: "y"})
	s := v.Status(epoch)
	if s.Log.Reason != "y" || s.Log.Since != before.Log.Since || len(s.Warnings) != len(before.Warnings) {
		t.Errorf("%+v %+v", s.Log, s.Warnings)
	}
}

// A daemon is started when each of its parts has found what it depends on; what was told to be lost by then stays so.
func TestAStartHasFoundWhatItDependsOn(t *testing.T) {
	v := NewView(config())
	at(v, events.RedisLost{Reason: "x"}, events.SystemStarted{PID: 1})
	if s := v.Status(epoch); s.Redis.State != LinkLost || s.Zinit.State != LinkOK || s.Log.State != LinkOK {
		t.Errorf("%+v %+v %+v", s.Redis, s.Zinit, s.Log)
	}
}
