package dispatch

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"herosup/events"
)

// A job given as JSON is one that the log's reader takes, or one refusal in one line; and what is written out again is
// judged the same.
func FuzzCreate(f *testing.F) {
	for _, text := range []string{
		`{"script_type":"bash","script":"x"}`,
		`{"id":"j1","script_type":"Bash","script":"x","caller_id":"me","context_id":"here","timeout":1.5,"delay":0.1,"retries":2,"priority":3,"prerequisites":["a","b:run"],"env_vars":{"A":"b"},"start_by":5}`,
		`{"script_type":"bash","script":"x","timeout":1e300}`, `{"script_type":"bash","script":"x","delay":-1}`, `{"script_type":"bash","script":"x","retries":-9223372036854775808}`,
		`{"script_type":"a.b","script":"x"}`, `{"script_type":"bash","script":" "}`, `{"script_type":"bash","script":"\u0000"}`, `{"script_type":"bash","script":"x","env_vars":{"A=B":"c"}}`,
		`{"script_type":"bash","script":"x","prerequisites":[""]}`, `{"script_type":"bash","script":"x","id":"*"}`, `{"script_type":"bash","script":"x","caller_id":"a\nb"}`, `{}`, `[]`, `null`,
	} {
		f.Add([]byte(text))
	}
	at := time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text []byte) {
		var c events.JobCreate
		if json.Unmarshal(text, &c) != nil {
			return // refused before us
		}
		jobType, h, script := FromCreate(c)
		m := logged{Type: jobType, Header: h, Script: script, Stream: "HERO_JOBS", Sequence: 3, Time: at}
		s, r := m.submission(Defaults{})
		if r != nil {
			if r.Status != 400 || r.Code == "" || r.Reason == "" || r.Hint == "" || strings.ContainsAny(r.Reason, "\n\r") {
				t.Fatalf("refusal %+v", r)
			}
		} else if events.CheckToken("id", s.ID) != nil || events.CheckToken("type", s.Type) != nil || s.Timeout < 0 || s.Script != c.Script {
			t.Fatalf("taken: %+v", s)
		}
		out, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var again events.JobCreate
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatal(err)
		}
		jobType, h, script = FromCreate(again)
		if r2 := CheckSubmission(jobType, h, script); (r2 == nil) != (r == nil) || r != nil && r.Code != r2.Code {
			t.Fatalf("written again: %+v, before %+v", r2, r)
		}
	})
}
