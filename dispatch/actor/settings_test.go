package actor

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What the daemon writes is what an actor reads; nothing said is the defaults.
func TestSettingsThroughTheEnvironment(t *testing.T) {
	for _, s := range []Settings{
		{
			Type: "bash", Types: map[string]int{"bash": 1, "python": 3}, Concurrency: 4, Prefix: "{h}",
			RetryBackoff: [2]time.Duration{time.Millisecond, time.Hour}, DeadMost: 5, DeadAge: time.Minute, KeepMost: 7, KeepAge: time.Second, KeepResult: new(time.Duration),
			Pass: []string{"LANG", "WORD"},
		},
		{Type: "odd", Types: map[string]int{"odd": 1}, Concurrency: 1},
	} {
		env := s.Env()
		got, err := ReadSettings(func(name string) string { return env[name] })
		if d := cmp.Diff(s, got); err != nil || d != "" {
			t.Errorf("%v\n%s", err, d)
		}
	}
	if s, err := ReadSettings(func(string) string { return "" }); err != nil || !cmp.Equal(s, Settings{}) {
		t.Errorf("%+v %v", s, err)
	}
}

func TestBadSettingsNameTheirVariable(t *testing.T) {
	for name, value := range map[string]string{
		TypeEnv: "a:x", ConcurrencyEnv: "many", RetryBackoffEnv: "1s,soon", DeadMostEnv: "1.5", DeadAgeEnv: "30",
	} {
		_, err := ReadSettings(func(n string) string { return map[string]string{name: value}[n] })
		if err == nil || !strings.Contains(err.Error(), name+`="`+value+`"`) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func TestTypesAsText(t *testing.T) {
	for text, want := range map[string]map[string]int{"a": {"a": 1}, "b:2, a": {"a": 1, "b": 2}} {
		first, got, err := ReadTypes(text)
		if err != nil || first != text[:1] || !cmp.Equal(got, want) {
			t.Errorf("%q: %s %v %v", text, first, got, err)
		}
	}
	for text, says := range map[string]string{"": "script type", "a,a": "twice", "a:b": "want a number", "a:99": "weight 99", "a b": "a b"} {
		if _, _, err := ReadTypes(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}
