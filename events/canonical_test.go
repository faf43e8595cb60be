package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
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
	memo := newMemo()
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

// What is read by the short way, without being decoded, is what decoding gives.
func TestWhatWasWrittenHereReadsAsIt(t *testing.T) {
	b := &Bus{prefix: DefaultPrefix, source: "herosup/x/test"}
	flats := 0
	rapid.Check(t, func(t *rapid.T) {
		flats = 0
		for _, k := range Catalogue() {
			if !k.flat || k.Raw {
				continue
			}
			flats++
			v := reflect.New(k.typ).Elem()
			drawFlat(t, v)
			for _, f := range k.fields {
				v.Field(f).SetString(rapid.StringMatching(`[a-z0-9_-]{1,9}`).Draw(t, "token"))
			}
			cause := Message{ID: "c", CorrelationID: rapid.SampledFrom([]string{"", "r"}).Draw(t, "correlation")}
			raw, said, err := b.message(v.Interface().(Event), []Option{CausedBy(cause)})
			if err != nil {
				t.Fatal(err)
			}
			msg, seq, err := decode(DefaultPrefix, raw)
			if err != nil {
				t.Fatal(err)
			}
			if said.subject == "" { // not all of it is UTF-8
				continue
			}
			if d := cmp.Diff(said.msg, msg, cmp.AllowUnexported(Message{})); d != "" || said.seq != seq || said.subject != raw.Subject {
				t.Errorf("%s: %d, %d\n%s", raw.Data, said.seq, seq, d)
			}
		}
	})
	if flats < 10 {
		t.Errorf("%d kinds are flat", flats)
	}
}

// drawFlat fills a value with what publishers may put there.
func drawFlat(t *rapid.T, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		if rapid.Bool().Draw(t, "a time") {
			v.Set(reflect.ValueOf(time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "ms")).UTC()))
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.String:
		v.SetString(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"a\xffb", "", "\u2028<&>"})).Draw(t, "text"))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int"))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint"))
	case reflect.Float64:
		v.SetFloat(rapid.Float64Range(0, 1e9).Draw(t, "float"))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Incarnation]() {
			if rapid.Bool().Draw(t, "an incarnation") {
				v.Set(reflect.ValueOf(Incarnation{Boot: "0badcafe", PID: rapid.IntRange(1, 1<<22).Draw(t, "pid"), Start: rapid.Uint64().Draw(t, "start")}))
			}
			return
		}
		for i := range v.NumField() {
			drawFlat(t, v.Field(i))
		}
	}
}

// Our matching is the server's.
func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"evt.>", "evt.job.queued.t.j", true},
		{"evt.>", "evt", false},
		{"evt.job.>", "evt.jobs.queued", false},
		{"evt.job.queued.*.j", "evt.job.queued.t.j", true},
		{"evt.job.queued.*.j", "evt.job.queued.t.j.more", false},
		{"evt.job.queued.*.j", "evt.job.queued.t", false},
		{"int.process.*.local.*", "int.process.stop.local.a", true},
		{"int.process.*.local.*", "int.process.stop.other.a", false},
		{"evt.a", "evt.a", true},
	} {
		if got := matches(c.pattern, c.subject); got != c.want {
			t.Errorf("%s of %s: %v", c.pattern, c.subject, got)
		}
	}
}
