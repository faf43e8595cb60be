package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"
)

// text draws members with and without what JSON escapes.
func text(t *rapid.T, name string) string {
	return rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9_./ -]{0,12}`), rapid.StringMatching(`[<>&"\\/ü\x7f\n ]{0,3}`)).Draw(t, name)
}

func drawEnvelope(t *rapid.T) envelope {
	return envelope{
		SpecVersion: specVersion, ID: text(t, "id"), Source: text(t, "source"), Type: text(t, "type"),
		Time:    time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
		Subject: text(t, "subject"), DataContentType: rapid.SampledFrom([]string{"", "application/json"}).Draw(t, "content"),
		CausationID: text(t, "cause"), CorrelationID: text(t, "correlation"),
		Sequence: rapid.SampledFrom([]string{"", "1", "18446744073709551615", "99999999999999999999", "x"}).Draw(t, "sequence"),
		Data:     json.RawMessage(rapid.SampledFrom([]string{`{}`, `{"a":"}","b":[1,2]}`, `null`, `"x"`}).Draw(t, "data")),
	}
}

// The short ways say what encoding/json says, or nothing.
func TestCanonicalIsWhatJSONDoes(t *testing.T) {
	short := 0
	rapid.Check(t, func(t *rapid.T) {
		e := drawEnvelope(t)
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := e.appendTo(nil); ok && string(got) != string(want) {
			t.Fatalf("wrote\n%s\nwant\n%s", got, want)
		} else if ok {
			short++
		}
		got, seq, ok := scanCanonical(want)
		if !ok {
			return
		}
		long, longSeq, err := openEnvelope(want)
		if err != nil {
			t.Fatalf("read what is none: %v\n%s", err, want)
		}
		if diff := cmp.Diff(long, got); diff != "" || seq != longSeq {
			t.Fatalf("%s\nsequence %d, want %d\n%s", diff, seq, longSeq, want)
		}
	})
	if short == 0 {
		t.Error("the short way was never taken")
	}
}

// What stands behind the data is not taken for a part of them.
func TestMembersBehindTheData(t *testing.T) {
	b := []byte(`{"specversion":"1.0","id":"i","source":"s","type":"hero.job.cancelled.v1","time":"2026-01-02T03:04:05Z","data":{},"more":1}`)
	m, _, err := decode("hero", &nats.Msg{Subject: "hero.evt.job.cancelled.t.j", Data: b})
	if err != nil || m.Event != (JobCancelled{Type: "t", Job: "j"}) {
		t.Errorf("%v, %v", m.Event, err)
	}
}

// A memo answers for the same bytes on the same subject only.
func TestMemo(t *testing.T) {
	memo := NewMemo()
	of := func(subject string) *nats.Msg {
		return &nats.Msg{
			Subject: subject,
			Data:    []byte(`{"specversion":"1.0","id":"i","source":"s","type":"hero.job.cancelled.v1","time":"2026-01-02T03:04:05Z","sequence":"7","data":{}}`),
		}
	}
	for range 2 { // decoded, remembered
		m, seq, err := memo.decode("hero", of("hero.evt.job.cancelled.t.one"))
		if err != nil || m.Event != (JobCancelled{Type: "t", Job: "one"}) || seq != 7 || m.Source != "s" {
			t.Errorf("%+v, %d, %v", m, seq, err)
		}
	}
	if m, _, err := memo.decode("hero", of("hero.evt.job.cancelled.t.two")); err != nil || m.Event != (JobCancelled{Type: "t", Job: "two"}) {
		t.Errorf("of another subject: %+v, %v", m, err)
	}
	for i := range 3 * memoHalf {
		raw := of("hero.evt.job.cancelled.t.one")
		raw.Data = bytes.Replace(raw.Data, []byte(`"id":"i"`), fmt.Appendf(nil, `"id":"i%d"`, i), 1)
		if m, _, err := memo.decode("hero", raw); err != nil || m.ID != fmt.Sprint("i", i) {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	if n := len(memo.now) + len(memo.old); n > 2*memoHalf {
		t.Errorf("remembers %d messages", n)
	}
}
