package events

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Branch is the second token of a subject.
type Branch string

const (
	// Fact is what was observed to be true.
	Fact Branch = "evt"
	// Command is what somebody outside a component wants.
	Command Branch = "cmd"
	// Order is what one component asks of another; exported to no role.
	Order Branch = "int"
)

// Event is a fact, a command or an order. The set is closed: the catalogue
// lists all of them.
type Event interface{ isEvent() }

// Kind describes one entry of the catalogue.
type Kind struct {
	Branch Branch
	// Entity is what it is about: job, actor, process, pool, queue, schedule, system.
	Entity string
	// Verb is a past participle for facts, an imperative for commands.
	Verb string
	// Tokens are the names of the tokens behind the verb, in order.
	Tokens []string
	// Raw says that the payload is not JSON but the field Script, as it is.
	Raw bool

	typ      reflect.Type
	fields   []int    // index of the struct field of each token
	required []string // JSON names that the data must have
	strict   bool     // the data may have no members but its own and passed
	passed   []string // JSON names that are not read
	flat     bool     // nothing in it is shared by its copies: it reads as it was written, and stays so
}

// Type is the CloudEvents type: "hero.<entity>.<verb>.v1".
func (k *Kind) Type() string { return "hero." + k.Entity + "." + k.Verb + ".v1" }

// Name is the entry's short name as it stands in CommandRejected.Command and in
// the subject of one: "<entity>-<verb>".
func (k *Kind) Name() string { return k.Entity + "-" + k.Verb }

// Pattern is the subject without the prefix, "*" for each token.
func (k *Kind) Pattern() string {
	return strings.Join([]string{string(k.Branch), k.Entity, k.Verb}, ".") + strings.Repeat(".*", len(k.Tokens))
}

// declare makes the entry of type T. A field tagged `subject:"0"` is the first
// token behind the verb. Faults in a declaration are faults of ours: it panics,
// and any test that imports the package shows it.
func declare[T Event](b Branch, entity, verb string) *Kind {
	t := reflect.TypeFor[T]()
	k := &Kind{Branch: b, Entity: entity, Verb: verb, typ: t, flat: flat(t)}
	for n := 0; ; n++ {
		i := fieldWithToken(t, n)
		if i < 0 {
			break
		}
		f := t.Field(i)
		if f.Type.Kind() != reflect.String {
			panic(fmt.Sprintf("events: %s.%s: a subject token must be a string", t, f.Name))
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		k.Tokens = append(k.Tokens, name)
		k.fields = append(k.fields, i)
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("required") == "true" {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			k.required = append(k.required, name)
		}
	}
	return k
}

// flat tells of a type that a copy of it shares nothing with it.
func flat(t reflect.Type) bool {
	if t == reflect.TypeFor[time.Time]() {
		return true
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		return true
	case reflect.Struct:
		for i := range t.NumField() {
			if !flat(t.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return false
}

// raw marks the kind's payload as a script rather than JSON.
func raw(k *Kind) *Kind { k.Raw = true; return k }

// strict marks the kind's payload as one that people write by hand: a member that it does not have is a fault, and
// not something that is passed over. passed are those that others send and nobody reads.
func strict(k *Kind, passed ...string) *Kind {
	k.strict, k.passed = true, passed
	return k
}

func fieldWithToken(t reflect.Type, n int) int {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("subject") == strconv.Itoa(n) {
			return i
		}
	}
	return -1
}

// subject builds the full subject of e, checking every token.
func (k *Kind) subject(prefix string, e Event) (string, error) {
	v := reflect.ValueOf(e)
	var b strings.Builder
	b.WriteString(prefix + "." + string(k.Branch) + "." + k.Entity + "." + k.Verb)
	for i, f := range k.fields {
		tok := v.Field(f).String()
		if err := CheckToken(k.Tokens[i], tok); err != nil {
			return "", fmt.Errorf("%s: %w", k.Name(), err)
		}
		b.WriteString("." + tok)
	}
	return b.String(), nil
}

// decode makes the event from its subject tokens and the JSON of its data
// (which may be empty). Tokens win over fields of the same meaning in the data.
func (k *Kind) decode(tokens []string, data []byte) (Event, error) {
	p := reflect.New(k.typ)
	if k.Raw {
		p.Elem().FieldByName("Script").SetString(string(data))
	} else if len(data) > 0 {
		if err := json.Unmarshal(data, p.Interface()); err != nil {
			return nil, fmt.Errorf("%s: payload: %w", k.Name(), err)
		}
	}
	if err := k.missing(data); err != nil {
		return nil, err
	}
	if err := k.unknown(data); err != nil {
		return nil, err
	}
	for i, f := range k.fields {
		if err := CheckToken(k.Tokens[i], tokens[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", k.Name(), err)
		}
		p.Elem().Field(f).SetString(tokens[i])
	}
	return p.Elem().Interface().(Event), nil
}

// unknown names a member that a strict kind does not have. Case does not count, as in reading.
func (k *Kind) unknown(data []byte) error {
	if !k.strict || len(data) == 0 {
		return nil
	}
	var have map[string]json.RawMessage
	_ = json.Unmarshal(data, &have)
	own := make([]string, 0, k.typ.NumField())
	for i := range k.typ.NumField() {
		name, _, _ := strings.Cut(k.typ.Field(i).Tag.Get("json"), ",")
		own = append(own, name)
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		lower := strings.ToLower(name)
		if slices.Contains(own, lower) || slices.Contains(k.passed, lower) {
			continue
		}
		hint := "known are " + strings.Join(own, ", ")
		if near := Nearest(lower, own); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return fmt.Errorf("%s: payload: member %q is not known: %s", k.Name(), name, hint)
	}
	return nil
}

// missing names the first required member that the data do not have.
func (k *Kind) missing(data []byte) error {
	if len(k.required) == 0 {
		return nil
	}
	var have map[string]json.RawMessage
	_ = json.Unmarshal(data, &have) // an empty payload has nothing; a bad one was refused before
	for _, name := range k.required {
		if _, ok := have[name]; !ok {
			return fmt.Errorf("%s: payload: %q is missing", k.Name(), name)
		}
	}
	return nil
}
