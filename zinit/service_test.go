package zinit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// word draws what people put into arguments to break quoting.
func word() *rapid.Generator[string] {
	return rapid.StringOf(rapid.OneOf(
		rapid.SampledFrom([]rune(` '"\$#~*?&|;<>()[]{}!%=:,-`+"`\t\u00e9\u4e16\U0001f600\u2028\ufeff\u0085\x01\x7f")),
		rapid.Rune(),
	)).Filter(func(s string) bool { return checkWord(s) == nil })
}

func service() *rapid.Generator[Service] {
	return rapid.Custom(func(t *rapid.T) Service {
		name := rapid.StringMatching(`[A-Za-z0-9_ -]{1,8}`)
		program := word().Filter(func(s string) bool { return s != "" })
		s := Service{
			Exec:            append([]string{program.Draw(t, "program")}, rapid.SliceOfN(word(), 0, 4).Draw(t, "args")...),
			Oneshot:         rapid.Bool().Draw(t, "oneshot"),
			After:           rapid.SliceOfN(name, 0, 2).Draw(t, "after"),
			Env:             rapid.MapOfN(name, word(), 0, 3).Draw(t, "env"),
			Dir:             word().Draw(t, "dir"),
			Log:             rapid.SampledFrom([]Log{"", LogRing, LogNone, LogStdout}).Draw(t, "log"),
			StopSignal:      rapid.SampledFrom([]string{"", "SIGINT", "sigusr1"}).Draw(t, "signal"),
			ShutdownTimeout: rapid.SampledFrom([]time.Duration{0, NoGrace, time.Second, MaxShutdownTimeout}).Draw(t, "timeout"),
			Extension:       extension().Draw(t, "extension"),
		}
		if rapid.Bool().Draw(t, "tested") {
			s.Test = append([]string{program.Draw(t, "test")}, word().Draw(t, "arg"))
		}
		return s
	})
}

// What is said as a Service is what is understood on the other side, through
// JSON as service_create carries it and through YAML as the file holds it.
func TestServiceRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := service().Draw(t, "service")
		c, err := want.Content()
		if err != nil {
			t.Fatalf("content: %v", err)
		}
		for _, via := range []struct {
			name string
			trip func(Content) (Content, error)
		}{{"json", viaJSON}, {"file", viaFile}, {"file, read the short way", viaOwnFile}} {
			back, err := via.trip(c)
			if err != nil {
				t.Fatalf("%s: %v", via.name, err)
			}
			got, err := back.Service()
			if err != nil {
				t.Fatalf("%s: %v", via.name, err)
			}
			if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("%s: %s", via.name, d)
			}
		}
	})
}

func viaJSON(c Content) (back Content, err error) {
	b, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	return back, err
}

func viaFile(c Content) (back Content, err error) {
	b, err := c.File()
	if err == nil {
		err = yaml.Unmarshal(b, &back)
	}
	return back, err
}

// viaOwnFile reads the file without the YAML library, where it can be: not if it
// holds a rune that JSON and YAML escape in different ways.
func viaOwnFile(c Content) (back Content, err error) {
	b, err := c.File()
	if err == nil && !parseOwn(b, &back) {
		if !bytes.Contains(b, []byte(`\U`)) {
			return back, fmt.Errorf("not read the short way: %s", b)
		}
		err = yaml.Unmarshal(b, &back)
	}
	return back, err
}

func FuzzCommandLine(f *testing.F) {
	f.Add("echo", "it's $HOME", "#x")
	f.Add("~", "", "`id`")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		want := Service{Exec: []string{a, b, c}}
		content, err := want.Content()
		if err != nil {
			return // refused with a reason, which is the other good end
		}
		got, err := content.Service()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want.Exec, got.Exec); d != "" {
			t.Fatalf("%q: %s", content.Exec, d)
		}
	})
}

// The original splits with the shlex crate, which takes # at the start of a
// word for a comment to the end of the line (research/zinit.md 4).
func TestQuoteGuardsAComment(t *testing.T) {
	if got, want := quote([]string{"echo", "#no", "a#b", "# x"}), `echo \#no a#b '# x'`; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestServiceRefusals(t *testing.T) {
	ok := func(change func(*Service)) Service {
		s := Service{Exec: []string{"true"}}
		change(&s)
		return s
	}
	for _, c := range []struct {
		service Service
		want    string
	}{
		{ok(func(s *Service) { s.Exec = nil }), "no program"},
		{ok(func(s *Service) { s.Exec = []string{"", "x"} }), "no program"},
		{ok(func(s *Service) { s.Exec = []string{"a", "b\nc"} }), "line break"},
		{ok(func(s *Service) { s.Exec = []string{"a", "b\x00c"} }), "NUL"},
		{ok(func(s *Service) { s.Test = []string{"a", "\xff"} }), "UTF-8"},
		{ok(func(s *Service) { s.Dir = "/a\nb" }), "line break"},
		{ok(func(s *Service) { s.After = []string{"../x"} }), "holds one of"},
		{ok(func(s *Service) { s.Env = map[string]string{"A=B": ""} }), "holds ="},
		{ok(func(s *Service) { s.Env = map[string]string{"": ""} }), "empty"},
		{ok(func(s *Service) { s.Env = map[string]string{"A": "\x00"} }), "NUL"},
		{ok(func(s *Service) { s.Log = "file" }), "ring, none or stdout"},
		{ok(func(s *Service) { s.StopSignal = "15" }), "not a name"},
		{ok(func(s *Service) { s.StopSignal = "TERM" }), "not a name"},
		{ok(func(s *Service) { s.ShutdownTimeout = 1500 * time.Millisecond }), "whole seconds"},
		{ok(func(s *Service) { s.ShutdownTimeout = -time.Second }), "want 1s to"},
	} {
		_, err := c.service.Content()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want ...%s...", c.service, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: more than one line: %v", c.service, err)
		}
	}
}

// A line break in a value is no danger: a value is never split into words.
func TestEnvironmentMayHoldLines(t *testing.T) {
	s := Service{Exec: []string{"true"}, Env: map[string]string{"PEM": "a\nb: c\n"}}
	c, err := s.Content()
	if err != nil {
		t.Fatal(err)
	}
	back, err := viaFile(c)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(s.Env, back.Env); d != "" {
		t.Fatal(d)
	}
}

// A variable is the text that stands in the file, as it is to the original, also where YAML has a number for it.
func TestVariablesAreAsWritten(t *testing.T) {
	const env = `
env:
  VERSION: 1.10 # a comment
  MODE: 0777
  MASK: 0x1F
  BIG: 1_000
  ON: True
  QUOTED: "0777"
  TEXT: |
    010
    020
  SAME: &same 2.0
  AGAIN: *same
  WORDS: 1.10 and more
  NONE:
  EXP: 1e3
  INF: .inf
`
	want := map[string]string{
		"VERSION": "1.10", "MODE": "0777", "MASK": "0x1F", "BIG": "1_000", "ON": "True", "QUOTED": "0777", "TEXT": "010\n020\n",
		"SAME": "2.0", "AGAIN": "2.0", "WORDS": "1.10 and more", "NONE": "", "EXP": "1e3", "INF": ".inf",
	}
	got, err := ParseFile([]byte("exec: sleep 1" + env))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got.Env); d != "" {
		t.Fatal(d)
	}
}

func TestParseFile(t *testing.T) {
	got, err := ParseFile([]byte(`
exec: sh -c "echo '$HOME' \"x\""
test: redis-cli ping
after: [net, disk]
env: {PORT: "80"}
signal: {stop: sigint}
shutdown_timeout: 3
someday: ignored
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Service{
		Exec:            []string{"sh", "-c", `echo '$HOME' "x"`},
		Test:            []string{"redis-cli", "ping"},
		After:           []string{"net", "disk"},
		Env:             map[string]string{"PORT": "80"},
		StopSignal:      "sigint",
		ShutdownTimeout: 3 * time.Second,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	for _, bad := range []string{"exec: [", "exec: \"'\"", "test: true", strings.Repeat("x", MaxFile+1)} {
		if _, err := ParseFile([]byte(bad)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.20q: got %v, want one line of error", bad, err)
		}
	}
}
