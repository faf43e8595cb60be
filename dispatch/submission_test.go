package dispatch

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"herosup/dispatch/store"
	"herosup/events"
)

func one(name, value string) nats.Header { return nats.Header{name: {value}} }

func TestSubmissions(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sub := func(change func(*store.Submission)) store.Submission {
		s := store.Submission{ID: "HERO_JOBS-7", Type: "bash", Script: "echo", Sequence: 7, CreatedAt: at}
		if change != nil {
			change(&s)
		}
		return s
	}
	for name, c := range map[string]struct {
		typ    string
		header nats.Header
		want   store.Submission
	}{
		"plain":        {"bash", nil, sub(nil)},
		"upper case":   {"BASH", nil, sub(nil)},
		"id":           {"bash", one("Hero-Job-Id", "j1"), sub(func(s *store.Submission) { s.ID = "j1" })},
		"message id":   {"bash", one("Nats-Msg-Id", "m1"), sub(func(s *store.Submission) { s.ID = "m1" })},
		"both ids":     {"bash", nats.Header{"Nats-Msg-Id": {"m.1"}, "HERO-JOB-ID": {"j1"}}, sub(func(s *store.Submission) { s.ID = "j1" })},
		"others":       {"bash", nats.Header{"Nats-Expected-Stream": {"HERO_JOBS"}, "Traceparent": {"00-1", "00-2"}}, sub(nil)},
		"timeout":      {"bash", one("hero-timeout", "1.5"), sub(func(s *store.Submission) { s.Timeout = 1500 * time.Millisecond })},
		"keep none":    {"bash", one("Hero-Keep-Result", "0"), sub(func(s *store.Submission) { s.KeepResult = new(time.Duration) })},
		"no timeout":   {"bash", one("Hero-Timeout", "0"), sub(nil)},
		"delay":        {"bash", one("Hero-Delay", "0.25"), sub(func(s *store.Submission) { s.Due = at.Add(250 * time.Millisecond) })},
		"retries":      {"bash", one("hero-retries", "100"), sub(func(s *store.Submission) { s.Retries = 100 })},
		"asks nothing": {"bash", nats.Header{"Hero-Retries": {"0"}, "Hero-Priority": {"0"}, "Hero-Prerequisites": {""}, "Hero-Start-By": {""}}, sub(nil)},
		"priority":     {"bash", one("Hero-Priority", "-10"), sub(func(s *store.Submission) { s.Priority = -10 })},
		"start in":     {"bash", one("Hero-Start-By", "1.5"), sub(func(s *store.Submission) { s.StartBy = at.Add(1500 * time.Millisecond) })},
		"start at":     {"bash", one("Hero-Start-By", "2026-01-02T04:04:05.5+01:00"), sub(func(s *store.Submission) { s.StartBy = at.Add(500 * time.Millisecond) })},
		"prerequisites": {"bash", one("Hero-Prerequisites", "a, b:run ,c:hold,d:fail"), sub(func(s *store.Submission) {
			s.Prerequisites = []Prerequisite{{ID: "a", Rule: store.RuleFail}, {ID: "b", Rule: store.RuleRun}, {ID: "c", Rule: store.RuleHold}, {ID: "d", Rule: store.RuleFail}}
		})},
		"adopted": {"bash", one("Hero-Adopted", "1"), sub(nil)},
		"parties": {"bash", nats.Header{"Hero-Caller-Id": {"ключ"}, "Hero-Context-Id": {"c d"}}, sub(func(s *store.Submission) {
			s.Caller, s.Context = "ключ", "c d"
		})},
		"env": {"bash", nats.Header{"Hero-Env-FOO": {"1"}, "hero-env-foo": {"2"}, "HERO-ENV-_x9": {""}}, sub(func(s *store.Submission) {
			s.Env = map[string]string{"FOO": "1", "foo": "2", "_x9": ""}
		})},
	} {
		t.Run(name, func(t *testing.T) {
			got, r := logged{Type: c.typ, Header: c.header, Script: []byte("echo"), Stream: "HERO_JOBS", Sequence: 7, Time: at}.submission(Defaults{})
			if r != nil {
				t.Fatalf("refused: %+v", r)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRefusedSubmissions(t *testing.T) {
	for name, c := range map[string]struct {
		typ    string
		header nats.Header
		script string
		code   string
		says   string // part of reason or hint
	}{
		"empty":            {"bash", nil, "", "empty_script", "payload"},
		"blank":            {"bash", nil, " \n\t", "empty_script", "empty"},
		"too large":        {"bash", nil, strings.Repeat("x", events.MaxScript+1), "script_too_large", "1048576"},
		"binary":           {"bash", nil, "echo \xff", "bad_script", "position 6"},
		"dot in id":        {"bash", one("Hero-Job-Id", "a.b"), "x", "bad_id", `"." at position 2`},
		"dot in msg id":    {"bash", one("Nats-Msg-Id", "a.b"), "x", "bad_id", "leave Hero-Job-Id out"},
		"empty id":         {"bash", one("Hero-Job-Id", ""), "x", "bad_id", "empty"},
		"long id":          {"bash", one("Hero-Job-Id", strings.Repeat("x", 65)), "x", "bad_id", "at most 64"},
		"negative timeout": {"bash", one("Hero-Timeout", "-5"), "x", "bad_header", "is negative"},
		"no number":        {"bash", one("Hero-Timeout", "soon"), "x", "bad_header", `"soon" is no number`},
		"exponent":         {"bash", one("Hero-Timeout", "1e3"), "x", "bad_header", "decimal"},
		"infinite":         {"bash", one("Hero-Delay", "inf"), "x", "bad_header", "no number"},
		"hexadecimal":      {"bash", one("Hero-Delay", "0x10"), "x", "bad_header", "no number"},
		"empty number":     {"bash", one("Hero-Delay", ""), "x", "bad_header", "no number"},
		"milliseconds":     {"bash", one("Hero-Timeout", "3600000"), "x", "bad_header", "at most 2592000"},
		"long delay":       {"bash", one("Hero-Delay", "999999999"), "x", "bad_header", "at most"},
		"twice":            {"bash", nats.Header{"Hero-Timeout": {"1", "2"}}, "x", "bad_header", "more than once"},
		"twice by case":    {"bash", nats.Header{"Hero-Timeout": {"1"}, "hero-timeout": {"1"}}, "x", "bad_header", "more than once"},
		"misspelt":         {"bash", one("Hero-Timout", "1"), "x", "unknown_header", "did you mean Hero-Timeout?"},
		"misspelt env":     {"bash", one("Hero-Envs-A", "1"), "x", "unknown_header", "did you mean Hero-Env-NAME?"},
		"too many retries": {"bash", one("Hero-Retries", "101"), "x", "bad_header", "out of range"},
		"again":            {"bash", one("Hero-Again", "1"), "x", "daemon_only", "for the daemon alone"},
		"high priority":    {"bash", one("Hero-Priority", "11"), "x", "bad_header", "-10 to 10"},
		"priority word":    {"bash", one("Hero-Priority", "high"), "x", "bad_header", "no whole number"},
		"prereq id":        {"bash", one("Hero-Prerequisites", "a,b.c"), "x", "bad_prerequisite", "prerequisite"},
		"prereq nothing":   {"bash", one("Hero-Prerequisites", "a,"), "x", "bad_prerequisite", "separated by commas"},
		"prereq twice":     {"bash", one("Hero-Prerequisites", "a, b:run,a"), "x", "bad_prerequisite", "a is named twice"},
		"prereq rule":      {"bash", one("Hero-Prerequisites", "a:never"), "x", "bad_prerequisite", "fail, run, hold"},
		"prereq itself":    {"bash", nats.Header{"Hero-Job-Id": {"j1"}, "Hero-Prerequisites": {"j1"}}, "x", "bad_prerequisite", "its own prerequisite"},
		"many prereqs":     {"bash", one("Hero-Prerequisites", strings.Repeat("a,", 100)+"a"), "x", "bad_prerequisite", "at most 100"},
		"start by zero":    {"bash", one("Hero-Start-By", "0"), "x", "bad_header", "no time to begin"},
		"start by word":    {"bash", one("Hero-Start-By", "Tuesday"), "x", "bad_header", "no time"},
		"start by past":    {"bash", one("Hero-Start-By", "2001-02-03T04:05:06Z"), "x", "bad_header", "has passed"},
		"start by far":     {"bash", one("Hero-Start-By", "2999-02-03T04:05:06Z"), "x", "bad_header", "too far away"},
		"start by delay":   {"bash", nats.Header{"Hero-Delay": {"10"}, "Hero-Start-By": {"9"}}, "x", "bad_header", "before its delay"},
		"bad retries":      {"bash", one("Hero-Retries", "many"), "x", "bad_header", "no whole number"},
		"fewer retries":    {"bash", one("Hero-Retries", "-1"), "x", "bad_header", "out of range"},
		"loader":           {"bash", one("Hero-Env-LD_PRELOAD", "x"), "x", "denied_env", "pool's configuration"},
		"path":             {"bash", one("hero-env-PATH", "x"), "x", "denied_env", "PATH"},
		"start-up file":    {"bash", one("Hero-Env-BASH_ENV", "x"), "x", "denied_env", "BASH_ENV"},
		"modules":          {"bash", one("Hero-Env-PYTHONPATH", "x"), "x", "denied_env", "PYTHONPATH"},
		"separator":        {"bash", one("Hero-Env-IFS", "x"), "x", "denied_env", "IFS"},
		"ours":             {"bash", one("Hero-Env-HERO_JOB_ID", "x"), "x", "denied_env", "HERO_"},
		"caller":           {"bash", one("Hero-Env-CALLER_ID", "x"), "x", "denied_env", "Hero-Caller-Id"},
		"env name":         {"bash", one("Hero-Env-1A", "x"), "x", "bad_env", "digit"},
		"no env name":      {"bash", one("Hero-Env-", "x"), "x", "bad_env", `""`},
		"env value":        {"bash", one("Hero-Env-A", "\xff"), "x", "bad_env", "UTF-8"},
		"env NUL":          {"bash", one("Hero-Env-A", "a\x00"), "x", "bad_env", "NUL"},
		"large env":        {"bash", one("Hero-Env-A", strings.Repeat("x", maxEnvValue+1)), "x", "bad_env", "at most"},
		"env lines":        {"bash", one("Hero-Env-A", "a\nb"), "x", "bad_header", "Hero-Env-A"},
		"env with an end":  {"bash", one("Hero-Env-A", "a\r"), "x", "bad_header", "base64"},
		"env behind blank": {"bash", one("Hero-Env-A", "\ta"), "x", "bad_header", "base64"},
		"env before blank": {"bash", one("Hero-Env-A", "a "), "x", "bad_header", "base64"},
		"caller line":      {"bash", one("Hero-Caller-Id", "a\nb"), "x", "bad_header", "Hero-Caller-Id"},
		"type":             {"a.b", nil, "x", "bad_type", "script type"},
	} {
		t.Run(name, func(t *testing.T) {
			r := CheckSubmission(c.typ, c.header, []byte(c.script))
			if r == nil {
				t.Fatal("taken")
			}
			if r.Code != c.code || r.Status != 400 || !strings.Contains(r.Reason+" "+r.Hint, c.says) {
				t.Errorf("%s: %s (%s), want %s with %q", r.Code, r.Reason, r.Hint, c.code, c.says)
			}
			if r.Hint == "" || strings.ContainsAny(r.Reason+r.Hint, "\n\r\x00") || len(r.Reason) > 300 {
				t.Errorf("not one clear line: %q (%q)", r.Reason, r.Hint)
			}
		})
	}
}

func TestTooManyVariables(t *testing.T) {
	h := nats.Header{}
	for i := range maxEnv + 1 {
		h["Hero-Env-A"+numeral(i)] = []string{"x"}
	}
	if r := CheckSubmission("bash", h, []byte("x")); r == nil || r.Code != "bad_env" {
		t.Errorf("%+v", r)
	}
}

// Every reserved name is refused, in whatever case its header came.
func TestDeniedVariables(t *testing.T) {
	for _, name := range append(slices.Clone(deniedEnv), "LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES") {
		for _, prefix := range []string{"Hero-Env-", "hero-env-", "HERO-ENV-"} {
			if r := CheckSubmission("bash", one(prefix+name, "x"), []byte("x")); r == nil || r.Code != "denied_env" {
				t.Errorf("%s%s: %+v", prefix, name, r)
			}
		}
	}
}

// What the options say is what arrives.
func TestOptionsRoundTrip(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	base := Options{
		ID: "j1", Timeout: new(90*time.Second + 250*time.Millisecond), Delay: time.Millisecond, CallerID: "me", ContextID: "here",
		Env: map[string]string{"A": "b", "a": "c"},
	}
	want := store.Submission{
		ID: "j1", Type: "bash", Script: "x", Timeout: *base.Timeout, Due: at.Add(time.Millisecond), Caller: "me", Context: "here", Env: base.Env,
	}
	for name, c := range map[string]struct {
		set  func(*Options)
		want func(*store.Submission)
	}{
		"plain":    {func(*Options) {}, func(*store.Submission) {}},
		"priority": {func(o *Options) { o.Priority = -3 }, func(s *store.Submission) { s.Priority = -3 }},
		"start by": {func(o *Options) { o.StartBy, o.StartWithin = at.Add(time.Hour), time.Minute }, func(s *store.Submission) { s.StartBy = at.Add(time.Hour) }},
		"start in": {func(o *Options) { o.StartWithin = time.Minute }, func(s *store.Submission) { s.StartBy = at.Add(time.Minute) }},
		"prerequisites": {func(o *Options) { o.Prerequisites = []Prerequisite{{ID: "a"}, {ID: "b", Rule: store.RuleHold}} }, func(s *store.Submission) {
			s.Prerequisites = []Prerequisite{{ID: "a", Rule: store.RuleFail}, {ID: "b", Rule: store.RuleHold}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o, want := base, want
			c.set(&o)
			c.want(&want)
			s, r := parse("bash", o.Header(), []byte("x"), at, Defaults{})
			if r != nil {
				t.Fatal(r)
			}
			if d := cmp.Diff(want, s); d != "" {
				t.Error(d)
			}
		})
	}
	if len(Options{}.Header()) != 0 {
		t.Errorf("no options make %v", Options{}.Header())
	}
}

func TestCreateIsTheSameMapping(t *testing.T) {
	typ, h, script := FromCreate(events.JobCreate{
		ID: "j1", ScriptType: "bash", Script: "x", CallerID: "me", ContextID: "here", Timeout: new(events.Seconds(1.5)), Delay: 0.1, Retries: new(2), Priority: 3,
		Prereqs: []string{"a", "b"}, Env: map[string]string{"A": "b"}, StartBy: 5, AdoptedRedis: true,
	})
	want := nats.Header{
		"Hero-Job-Id": {"j1"}, "Hero-Caller-Id": {"me"}, "Hero-Context-Id": {"here"}, "Hero-Timeout": {"1.5"}, "Hero-Delay": {"0.1"},
		"Hero-Retries": {"2"}, "Hero-Priority": {"3"}, "Hero-Prerequisites": {"a,b"}, "Hero-Env-A": {"b"}, "Hero-Start-By": {"5"}, "Hero-Adopted": {"1"},
	}
	if d := cmp.Diff(want, h); d != "" || typ != "bash" || string(script) != "x" {
		t.Errorf("%s %s\n%s", typ, script, d)
	}
}

// Whatever comes in is a job that the store takes and that survives being written
// out again, or one refusal in one line.
func FuzzSubmission(f *testing.F) {
	for _, h := range []string{
		"", "Hero-Job-Id: a\nHero-Timeout: 1.5\nHero-Env-A: b", "hero-delay: 0\nNats-Msg-Id: x.y", "Hero-Retries: 9\nHero-Envs: a",
		"Hero-Timeout: 99999999999999999999", "Hero-Env-PATH: /x\nHero-Env-a: \x00", "Hero-Caller-Id: \xff",
	} {
		f.Add("bash", h, []byte("echo"))
	}
	f.Fuzz(func(t *testing.T, jobType, lines string, script []byte) {
		h := nats.Header{}
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			h[name] = append(h[name], value)
		}
		m := logged{Type: jobType, Header: h, Script: script, Stream: "HERO_JOBS", Sequence: 3}
		s, r := m.submission(Defaults{})
		if again, r2 := m.submission(Defaults{}); !cmp.Equal(s, again) || !cmp.Equal(r, r2) {
			t.Fatal("the same message is read in two ways")
		}
		if r != nil {
			if r.Status != 400 || r.Code == "" || r.Reason == "" || r.Hint == "" || r.Sequence != 3 {
				t.Fatalf("refusal %+v", r)
			}
			return
		}
		if events.CheckToken("id", s.ID) != nil || events.CheckToken("type", s.Type) != nil || s.Script != string(script) || s.Timeout < 0 {
			t.Fatalf("taken: %+v", s)
		}
		o := Options{
			ID: s.ID, Timeout: &s.Timeout, CallerID: s.Caller, ContextID: s.Context, Env: maps.Clone(s.Env),
			Priority: s.Priority, StartBy: s.StartBy, Prerequisites: s.Prerequisites, Retries: &s.Retries,
		}
		if !s.Due.IsZero() {
			o.Delay = s.Due.Sub(m.Time)
		}
		back, r := parse(s.Type, o.Header(), script, m.Time, Defaults{})
		s.Sequence = 0
		if r != nil || !near(back.Timeout, s.Timeout) || !near(back.Due.Sub(s.Due), 0) {
			t.Fatalf("written again: %+v, %v; was %+v", back, r, s)
		}
		back.Timeout, back.Due = s.Timeout, s.Due
		if d := cmp.Diff(s, back); d != "" {
			t.Fatalf("written again:\n%s", d)
		}
	})
}

// near: seconds are carried as a decimal fraction, which may round a nanosecond.
func near(a, b time.Duration) bool { return (a - b).Abs() <= time.Microsecond }

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"Hero-Timeouts": HeaderTimeout, "hero-prio": HeaderPriority, "Hero-Id": HeaderJobID, "Hero-Env": HeaderEnv + "NAME", "Hero-Caller": HeaderCallerID,
	} {
		if got := nearest(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
