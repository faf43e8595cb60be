package store

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Whatever others wrote into a hash is a record that can be shown: one that can not be written as JSON would spoil the
// answer about all jobs.
func FuzzRecord(f *testing.F) {
	for _, text := range []string{
		"id=j1\nscript_type=Bash\nstatus=dispatched\nscript=x", "status=started\ntoken=1 2 0a1b2c3d-42-4711 1764000000000 p_1\ntimeout=30\ncrashes=1\nsequence=7\nv=1",
		"status=finished\nupdated_at=2026-11-25T03:00:00Z", "timeout=-5", "timeout=99999999999999", "timeout=1e3", "queued_ms=1e300", "queued_ms=NaN", "ready_ms=-1",
		"ready_ms=9223372036854775807", "token=     ", "token=a b c d e", "token=1 2 x Inf y\nstatus=started", "env_vars={", "env_vars={\"A\":1}", "env_vars=[]",
		"status=ERROR\nupdated_at=9999-12-31T23:59:60Z", "status=error\nupdated_at=0000-01-01T00:00:00+23:59", "sequence=-1", "sequence=18446744073709551616",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := map[string]string{}
		for line := range strings.SplitSeq(text, "\n") {
			name, value, _ := strings.Cut(line, "=")
			m[name] = value
		}
		r := readRecord("j1", m)
		if n, err := strconv.Atoi(m["timeout"]); err == nil && n > 0 && r.Timeout < time.Second {
			t.Fatalf("a timeout of %d seconds is read as %s", n, r.Timeout)
		}
		if r.ID != "j1" || r.Timeout < 0 || r.Type != strings.ToLower(r.Type) && m["type"] == "" {
			t.Fatalf("%+v", r)
		}
		if r.Token != (Token{}) && r.Token.Incarnation == "" {
			t.Fatalf("a token of nobody: %+v", r.Token)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		_, _ = r.Env()
	})
}
