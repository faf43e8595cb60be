package zinit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

// MaxFile is the largest service file that is read: more is not a service.
const MaxFile = 1 << 20

// ParseFile reads the text of a service file. Keys it does not know are
// ignored, as a zinit does.
func ParseFile(text []byte) (Service, error) {
	if len(text) > MaxFile {
		return Service{}, fmt.Errorf("service file of %d bytes is over the limit of %d", len(text), MaxFile)
	}
	c, err := parseContent(text)
	if err != nil {
		return Service{}, err
	}
	return c.Service()
}

// parseContent is ParseFile for what is read by others, too.
func parseContent(text []byte) (c Content, err error) {
	if parseOwn(text, &c) {
		return c, nil
	}
	c = Content{} // it may have come some way
	if err := unpanicked(func() error {
		if err := checkYAML(text); err != nil {
			return err
		}
		if err := yaml.Unmarshal(text, &c); err != nil {
			return err
		}
		return c.asWritten(text)
	}); err != nil {
		// The library's text spans several lines, with the place marked.
		return Content{}, errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	return c, nil
}

// asWritten gives the texts back that the library has taken for something else: it makes
// 1.10 a 1.1 and 0777 a 511. A number of which it has lost a part is refused.
func (c *Content) asWritten(text []byte) error {
	if !c.hasNumbers() {
		return nil
	}
	var written struct {
		Env             map[string]literal `yaml:"env"`
		After           []literal          `yaml:"after"`
		ShutdownTimeout Scalar             `yaml:"shutdown_timeout"`
		Restart         struct {
			MaxExits Scalar `yaml:"max_exits"`
		} `yaml:"restart"`
		LogFile struct {
			Keep Scalar `yaml:"keep"`
		} `yaml:"log_file"`
	}
	if err := yaml.Unmarshal(text, &written); err != nil {
		return err
	}
	for name, l := range written.Env {
		if l != "" {
			c.Env[name] = string(l)
		}
	}
	for i, l := range written.After {
		if l != "" {
			c.After[i] = string(l)
		}
	}
	return cmp.Or(checkWhole("shutdown_timeout", written.ShutdownTimeout),
		checkWhole("restart.max_exits", written.Restart.MaxExits), checkWhole("log_file.keep", written.LogFile.Keep))
}

// hasNumbers reports whether anything of c may be written otherwise than the library says.
func (c *Content) hasNumbers() bool {
	odd := func(v string) bool {
		_, err := strconv.ParseFloat(v, 64)
		return err == nil || v == "true" || v == "false"
	}
	return c.ShutdownTimeout != nil || c.Restart != nil || c.LogFile != nil ||
		slices.ContainsFunc(c.After, odd) || slices.ContainsFunc(slices.Collect(maps.Values(c.Env)), odd)
}

// checkWhole refuses what is no whole number, and one that begins with a 0, which is an
// octal one for some.
func checkWhole(key string, text Scalar) error {
	digits := strings.TrimPrefix(string(text), "-")
	_, err := strconv.ParseInt(digits, 0, 64)
	if text != "" && err != nil || len(digits) > 1 && digits[0] == '0' && digits[1] <= '9' {
		return fmt.Errorf("%s: got %.20q, want a whole number such as 10", key, text)
	}
	return nil
}

// literal is the text of what YAML has another value for than that text; "" of all else.
type literal string

// UnmarshalYAML takes the text of a value as it stands in the file.
func (l *literal) UnmarshalYAML(b []byte) error {
	var v any
	_ = yaml.Unmarshal(b, &v) // of some texts the library makes here what it can not read itself
	switch v.(type) {
	case nil, string, map[string]any, []any:
	default:
		*l = literal(strings.TrimSpace(string(b)))
	}
	return nil
}

// maxTokens is how many parts a text may have that is for the YAML library: scalars,
// brackets, colons and so on. To parse n keys, or n brackets within each other, takes
// it time and memory of the order of n squared: 16,000 take it 400 MiB and more, and a
// file of MaxFile would end the process manager. Files that we write are not bounded
// by it, see parseOwn.
const maxTokens = 10_000

// checkYAML refuses what the YAML library could not take, at the cost of one pass (of
// two, if there are aliases).
func checkYAML(text []byte) error {
	var s scanner.Scanner
	s.Init(string(text))
	aliases := false
	for n := 0; n <= maxTokens; {
		tokens, err := s.Scan()
		if errors.Is(err, io.EOF) {
			if aliases {
				return checkAliases(text)
			}
			return nil
		}
		aliases = aliases || slices.ContainsFunc(tokens, func(t *token.Token) bool { return t.Type == token.AliasType })
		n += max(1, len(tokens)) // what is no token is an error of the parser's, which knows the place
	}
	return fmt.Errorf("service file has over %d YAML tokens (names, values, signs)", maxTokens)
}

// unpanicked is f with a panic as an error. The YAML library has some for texts
// that are no YAML (found by FuzzServiceFile); a file that somebody has written
// must not end a process manager.
func unpanicked(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("this is not YAML: %v", p)
		}
	}()
	return f()
}

// parseOwn reads a file of the form that EncodeFile writes, which is ten times as
// fast as the YAML library and is what starts an actor. Of any other form, also
// of one that JSON has no word for, it says no.
func parseOwn(text []byte, c *Content) bool {
	object, ok := ownObject(text)
	return ok && json.Unmarshal(object, c) == nil
}

// ownObject is a file of that form as what may be a JSON object.
func ownObject(text []byte) ([]byte, bool) {
	object := []byte{'{'}
	for l := range bytes.Lines(text) {
		key, value, ok := bytes.Cut(l, []byte(": "))
		if !ok || len(key) == 0 || key[0] != '"' {
			return nil, false
		}
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(object, key...)
		object = append(object, ':')
		object = append(object, value...)
	}
	return append(object, '}'), true
}

// File is the text of the service file that says c.
func (c Content) File() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return EncodeFile(b)
}

// EncodeFile turns a JSON object, as service_create carries it, into the text
// of a service file: one line per key, each value as JSON, which is YAML too.
// Keys that Content does not know are kept.
//
// It does not use the YAML library's encoder: that one writes a lone tab, among
// others, as a plain scalar and reads it back as nothing (found by
// TestServiceRoundTrip). A JSON string has one form only.
func EncodeFile(object []byte) ([]byte, error) {
	// Decoded to the ground, because a JSON string may be written in ways (pairs
	// of \u escapes) that YAML has no word for.
	var keys map[string]any
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	if err := d.Decode(&keys); err != nil {
		return nil, fmt.Errorf("read service content: %w", err)
	}
	if keys == nil {
		return nil, errors.New("read service content: null is no service")
	}
	var b bytes.Buffer
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		name, err := scalar(k)
		if err != nil {
			return nil, err
		}
		value, err := scalar(keys[k])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s: %s\n", name, value)
	}
	if b.Len() > MaxFile {
		return nil, fmt.Errorf("service file of %d bytes would be over the limit of %d", b.Len(), MaxFile)
	}
	return b.Bytes(), nil
}

// scalar is v as JSON in which every rune that is not plainly printable is
// escaped. Outside of strings JSON has none of them, and inside YAML would take
// some, such as the line separators of Unicode, for what they are called.
func scalar(v any) (string, error) {
	var compact bytes.Buffer
	e := json.NewEncoder(&compact)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("write service content: %w", err)
	}
	var b strings.Builder
	for _, r := range strings.TrimSuffix(compact.String(), "\n") {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String(), nil
}
