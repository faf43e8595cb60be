package events

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"start", "stop", "status", "submit", "scale"}
	for word, want := range map[string]string{
		"stauts": "status", "statu": "status", "sumbit": "submit", "stp": "stop", "frobnicate": "", "": "", "x": "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
