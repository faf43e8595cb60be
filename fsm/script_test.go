package fsm

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"herosup/events"
)

// script runs one actor's machine through lines of text; see testdata/keeper.
// Time starts at midnight and moves only by "wait".
type script struct {
	t     *testing.T
	chart *Chart
	a     Actor
	now   time.Time
	out   strings.Builder
}

func TestLivesInText(t *testing.T) {
	datadriven.Walk(t, "testdata/keeper", func(t *testing.T, path string) {
		var s *script
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "actor":
				s = newScript(t, d)
				return ""
			case "do":
				s.out.Reset()
				for line := range strings.Lines(d.Input) {
					s.line(strings.TrimSpace(line))
				}
				return s.out.String()
			}
			d.Fatalf(t, "unknown command %q", d.Cmd)
			return ""
		})
	})
}

func newScript(t *testing.T, d *datadriven.TestData) *script {
	chart, err := NewChart()
	if err != nil {
		t.Fatal(err)
	}
	cfg := PoolConfig{Max: 4}
	var within string
	d.MaybeScanArgs(t, "exits", &cfg.CrashLoop.Exits)
	if d.MaybeScanArgs(t, "within", &within) {
		cfg.CrashLoop.Within = duration(t, within)
	}
	return &script{
		t: t, chart: chart, now: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
		a: NewActor(events.LocalNode, "bash_1", cfg.withDefaults(), "n"),
	}
}

func duration(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// life makes an incarnation from a small number; "0" is none.
func life(n int) events.Incarnation {
	if n == 0 {
		return events.Incarnation{}
	}
	return events.Incarnation{Boot: "0a1b2c3d", PID: 100 + n, Start: uint64(1000 * n)}
}

func (s *script) line(line string) {
	w := strings.Fields(line)
	if len(w) == 0 {
		return
	}
	fmt.Fprintf(&s.out, "%s\n", line)
	switch w[0] {
	case "wait":
		s.wait(duration(s.t, w[1]))
	case "reassert":
		a, out := s.chart.Reassert(s.t.Context(), s.a, s.now)
		s.a = a
		s.print(out)
	case "show":
		s.show()
	case "history":
		for _, h := range s.a.History() {
			fmt.Fprintf(&s.out, "    %s\n", h)
		}
	default:
		a, out := s.chart.Fold(s.t.Context(), s.a, parse(s.t, line), s.now)
		s.a = a
		s.print(out)
	}
}

// wait lets time pass, stopping at each deadline on the way.
func (s *script) wait(d time.Duration) {
	until := s.now.Add(d)
	for !s.a.Due.IsZero() && !s.a.Due.After(until) {
		s.now = s.a.Due
		fmt.Fprintf(&s.out, "  at %s\n", s.now.Format("15:04:05.000"))
		a, out := s.chart.Elapse(s.t.Context(), s.a, s.now)
		s.a = a
		s.print(out)
	}
	s.now = until
}

func (s *script) show() {
	a := s.a
	fmt.Fprintf(&s.out, "    %s life=%s job=%q ahead=%q ready=%v failures=%d start-wanted=%v due=%s\n", a.State,
		strings.TrimPrefix(a.Incarnation.String(), "0a1b2c3d-"), a.Hand, a.Ahead, a.Ready, len(a.Failures), a.StartWanted, s.until(a.Due))
}

func (s *script) until(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return "+" + t.Sub(s.now).String()
}

func (s *script) print(out Output) {
	say := func(format string, a ...any) { fmt.Fprintf(&s.out, "    "+format+"\n", a...) }
	for _, e := range out.Publish {
		switch e := e.(type) {
		case events.ActorStateChanged:
			say("%s -> %s on %s (%s)", orNothing(e.From), e.To, e.On, e.Reason)
		case events.KillProcess:
			if e.Replace {
				say("order: kill process, to replace it")
			} else {
				say("order: kill process, down=%v", e.Down)
			}
		case events.CloseIntake:
			say("order: close intake, nonce %s", e.Nonce)
		case events.PingIntake:
			say("order: ping, nonce %s", e.Nonce)
		case events.ActorQuarantined:
			say("fact: quarantined: %s", e.Reason)
		default:
			k := events.KindOf(e)
			say("order: %s %s", k.Verb, k.Entity)
		}
	}
	switch {
	case out.Answer != nil && out.Answer.Already:
		say("answer: %s already", out.Answer.State)
	case out.Answer != nil:
		say("answer: %s", out.Answer.State)
	case out.Refusal != nil:
		say("refused, %d %s: %s; hint: %s", out.Refusal.Status, out.Refusal.Code, out.Refusal.Reason, out.Refusal.Hint)
	}
	if out.Ignored != "" {
		say("ignored: %s", out.Ignored)
	}
	if out.Fault != nil {
		s.t.Fatal(out.Fault)
	}
	if len(out.Publish) == 0 && out.Answer == nil && out.Refusal == nil && out.Ignored == "" {
		say("(%s)", s.a.State)
	}
}

func orNothing(s string) string {
	if s == "" {
		return "(nothing)"
	}
	return s
}

// parse reads one line: a verb, its positional words, key=value options.
func parse(t *testing.T, line string) events.Event {
	t.Helper()
	var w []string
	opt := map[string]string{}
	for _, f := range strings.Fields(line) {
		if k, v, ok := strings.Cut(f, "="); ok {
			opt[k] = v
			continue
		}
		w = append(w, f)
	}
	const pool, id, typ = "bash", "bash_1", "bash"
	deadline := events.Seconds(0)
	if v := opt["deadline"]; v != "" {
		deadline = events.SecondsOf(duration(t, v))
	}
	number := func(s string, def int) int {
		if s == "" {
			return def
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return n
	}
	num := func(i int) int { return number(w[i], 0) }
	attempt := number(opt["attempt"], 1)
	switch w[0] {
	case "start":
		return events.ActorStart{Actor: id}
	case "stop":
		return events.ActorStop{Actor: id, Deadline: deadline}
	case "restart":
		return events.ActorRestart{Actor: id, Deadline: deadline, Hung: opt["hung"] != ""}
	case "ping":
		return events.ActorPing{Actor: id}
	case "reset":
		return events.ActorReset{Actor: id}
	case "started":
		return events.ProcessStarted{Pool: pool, Actor: id, Incarnation: life(num(1))}
	case "ready":
		return events.ProcessReady{Pool: pool, Actor: id, Incarnation: life(num(1))}
	case "exited":
		return events.ProcessExited{
			Pool: pool, Actor: id, Incarnation: life(num(1)),
			ExitCode: number(opt["code"], 0), Signal: opt["signal"], ByUs: opt["by-us"] != "",
		}
	case "blocked":
		return events.ProcessBlocked{Pool: pool, Actor: id, Reason: "waits for redis (not there)"}
	case "start-failed":
		return events.ProcessStartFailed{Pool: pool, Actor: id, Reason: strings.Join(w[1:], " ")}
	case "missing":
		return events.ProcessStartFailed{Pool: pool, Actor: id, Missing: true, Reason: strings.Join(w[1:], " ")}
	case "kept":
		return events.ProcessStartFailed{Pool: pool, Actor: id, Kept: life(num(1)), Reason: strings.Join(w[2:], " ")}
	case "observed":
		switch w[1] {
		case "down":
			return events.ProcessObserved{Pool: pool, Actor: id, State: "Success"}
		case "due":
			return events.ProcessObserved{Pool: pool, Actor: id, State: "Pending", WantedUp: true}
		}
		return events.ProcessObserved{Pool: pool, Actor: id, Incarnation: life(num(1)), State: "Running", WantedUp: true}
	case "job":
		return events.JobStarted{Type: typ, Actor: id, Incarnation: life(num(1)), Job: w[2], Attempt: attempt}
	case "ended":
		return events.JobEnded{Type: typ, Actor: id, Incarnation: life(num(1)), Job: w[2], Attempt: attempt, Outcome: events.Finished}
	case "retried": // its script failed: the actor lives
		return events.JobRetried{Type: typ, Actor: id, Incarnation: life(num(1)), Job: w[2], Attempt: attempt, Failed: opt["died"] == ""}
	case "dead":
		return events.JobDead{Type: typ, Actor: id, Incarnation: life(num(1)), Job: w[2], Attempt: attempt, Failed: opt["died"] == ""}
	case "holds":
		return events.ActorRegistered{Pool: pool, Actor: id, Incarnation: life(num(1)), Anew: true, Holds: w[2:]}
	case "overran":
		return events.JobOverran{Type: typ, Actor: id, Incarnation: life(num(1)), Job: w[2], Ran: 61}
	case "pong":
		return events.ActorPonged{Pool: pool, Actor: id, Incarnation: life(num(1)), Nonce: w[2]}
	case "unresponsive":
		return events.ActorUnresponsive{Pool: pool, Actor: id, Incarnation: life(num(1)), Lost: 3}
	case "drained":
		return events.ActorDrained{Pool: pool, Actor: id, Nonce: w[1]}
	case "redis-lost":
		return events.RedisLost{}
	case "redis-back":
		return events.RedisBack{}
	case "redis-refilled":
		return events.RedisRefilled{}
	case "zinit-lost":
		return events.ZinitLost{}
	case "zinit-back":
		return events.ZinitBack{}
	}
	t.Fatalf("unknown line %q", line)
	return nil
}
