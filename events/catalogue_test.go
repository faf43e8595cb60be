package events

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The catalogue as people read it: a change of a subject or a field shows in
// the diff of this file. Entries may be added; what users script against may
// not change.
func TestCatalogueGolden(t *testing.T) {
	var b strings.Builder
	for _, k := range Catalogue() {
		tokens := ""
		for _, tok := range k.Tokens {
			tokens += ".<" + tok + ">"
		}
		fmt.Fprintf(&b, "%s.%s.%s.%s%s\n", DefaultPrefix, k.Branch, k.Entity, k.Verb, tokens)
		for i := range k.typ.NumField() {
			f := k.typ.Field(i)
			fmt.Fprintf(&b, "    %s %s\n", f.Tag.Get("json"), f.Type)
		}
	}
	golden(t, "catalogue.txt", b.String())
}

// Each event as it stood on the wire when it was released must still decode to
// the same value. The file may only grow.
func TestYesterdaysEventsDecode(t *testing.T) {
	var lines []string
	for _, k := range Catalogue() {
		if k.Raw {
			continue
		}
		e := filled(k)
		subject, err := k.subject(DefaultPrefix, e)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, subject+" "+string(data))
	}
	golden(t, "wire.txt", strings.Join(lines, "\n")+"\n")
	for _, line := range lines {
		subject, data, _ := strings.Cut(line, " ")
		k, tokens, err := kindOfSubject(DefaultPrefix, subject)
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.decode(tokens, []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(filled(k), got); d != "" {
			t.Errorf("%s:\n%s", subject, d)
		}
	}
}

// filled gives every field a value that is not its zero value.
func filled(k *Kind) Event {
	p := reflect.New(k.typ)
	for i := range k.typ.NumField() {
		fill(p.Elem().Field(i), k.typ.Field(i).Name)
	}
	return p.Elem().Interface().(Event)
}

func fill(v reflect.Value, name string) {
	switch v.Interface().(type) {
	case Incarnation:
		v.Set(reflect.ValueOf(Incarnation{Boot: "0a1b2c3d", PID: 42, Start: 4711}))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.ToLower(name) + "_1")
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), name)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"NAME": "value"}))
	case reflect.Struct:
		if u, ok := v.Addr().Interface().(json.Unmarshaler); ok {
			_ = u.UnmarshalJSON([]byte(`"2026-11-24T12:00:00Z"`)) // time.Time
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), v.Type().Field(i).Name)
		}
	default:
		panic("fill: " + v.Kind().String())
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (run with -update if this is meant):\n%s", file, d)
	}
}

// A member that job.create does not have is refused with the nearest one; those of Hero's own records are passed over.
func TestAMisspeltMemberIsRefused(t *testing.T) {
	k := KindOf(JobCreate{})
	for data, want := range map[string]string{
		`{"script_type":"sh","script":"x","retrys":3}`:                  `job-create: payload: member "retrys" is not known: did you mean "retries"?`,
		`{"script_type":"sh","script":"x","dependencies":["j1"]}`:       `member "dependencies" is not known: known are id, script_type, script, `,
		`{"script_type":"sh","script":"x","Retries":3,"Worker_ID":"w"}`: "",
		`{"id":"a","caller_id":"c","worker_id":"w","actor_id":"a","context_id":"x","script":"x","script_type":"sh","timeout":60,"retries":0,"concurrent":false,` +
			`"log_path":null,"created_at":"2025-08-05T00:00:00Z","updated_at":"2025-08-05T00:00:00Z","status":"dispatched","env_vars":{"A":"b"},"prerequisites":[],"dependents":[]}`: "",
	} {
		_, err := k.decode(nil, []byte(data))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", data, err)
		}
	}
	if _, err := KindOf(PoolScale{}).decode([]string{"bash"}, []byte(`{"count":1,"more":2}`)); err != nil { // of a newer program, perhaps
		t.Error(err)
	}
}
