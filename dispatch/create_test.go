package dispatch

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A job says the same whichever way it is sent: as headers, or as JSON.
func TestCreateSaysWhatTheHeadersSay(t *testing.T) {
	for _, o := range []Options{
		{},
		{Timeout: new(time.Duration(0)), Retries: new(0), KeepResult: new(time.Duration(0))},
		{
			ID: "one", Timeout: new(90 * time.Second), Delay: 1500 * time.Millisecond, Priority: -3, StartWithin: time.Minute, Retries: new(4), KeepResult: new(time.Minute),
			Prerequisites: []Prerequisite{{ID: "a", Rule: "fail"}, {ID: "b", Rule: "hold"}}, Env: map[string]string{"A": "b"},
			CallerID: "me", ContextID: "here",
		},
	} {
		_, h, script := FromCreate(o.Create("bash", "echo"))
		if d := cmp.Diff(o.Header(), h); d != "" || string(script) != "echo" {
			t.Error(d)
		}
	}
	at := time.Now().Add(time.Hour)
	if left := (Options{StartBy: at}).Create("bash", "x").StartBy.Duration(); left > time.Hour || left < time.Hour-time.Minute {
		t.Errorf("an hour is %v", left)
	}
	if left := (Options{StartBy: time.Unix(0, 0)}).Create("bash", "x").StartBy; left <= 0 {
		t.Errorf("what has passed asks for nothing: %v", left)
	}
}
