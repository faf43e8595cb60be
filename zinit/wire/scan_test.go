package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// jsonValue draws an object or array with strings full of what could confuse
// a bracket counter.
func jsonValue() *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		s := rapid.StringOf(rapid.SampledFrom([]rune(`{}[]"\:, aé`+"\n\t\u2028"))).Draw(t, "s")
		inner := map[string]any{s: []any{s, map[string]any{}, 1.5, nil, true}}
		if rapid.Bool().Draw(t, "array") {
			return []any{inner, s}
		}
		return inner
	})
}

// Whatever the pieces in which they arrive and whatever is between them, the
// messages come out as they were put in.
func TestScannerCutsMessagesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(jsonValue(), 1, 5).Draw(t, "values")
		var stream bytes.Buffer
		for _, v := range values {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			stream.Write(b)
			stream.WriteString(rapid.SampledFrom([]string{"", "\n", "  \r\n"}).Draw(t, "gap"))
		}
		var r io.Reader = &stream
		if rapid.Bool().Draw(t, "one byte") {
			r = iotest.OneByteReader(r)
		}
		s := NewScanner(r)
		for _, want := range values {
			msg, err := s.Next()
			if err != nil {
				t.Fatalf("next: %v", err)
			}
			var got any
			if err := json.Unmarshal(msg, &got); err != nil {
				t.Fatalf("message %q is not whole: %v", msg, err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatal(d)
			}
		}
		if _, err := s.Next(); !errors.Is(err, io.EOF) {
			t.Fatalf("at the end: got %v, want EOF", err)
		}
	})
}

func TestScannerGoesOnBehindGarbage(t *testing.T) {
	s := NewScanner(strings.NewReader("list\n}}}x{\"a\":1}\nlast"))
	var got []string
	for {
		msg, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		switch {
		case errors.Is(err, ErrGarbage):
			got = append(got, "garbage")
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, string(msg))
		}
	}
	if d := cmp.Diff([]string{"garbage", "garbage", `{"a":1}`, "garbage"}, got); d != "" {
		t.Fatal(d)
	}
}

func TestScannerBoundsAMessage(t *testing.T) {
	for name, text := range map[string]string{
		"message": `{"a":"` + strings.Repeat("x", 100) + `"}`,
		"garbage": strings.Repeat("x", 100),
	} {
		s := NewScanner(strings.NewReader(text))
		s.limit = 64
		if _, err := s.Next(); !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: got %v, want ErrTooLong", name, err)
		}
	}
}

func TestScannerNamesAHalfMessage(t *testing.T) {
	s := NewScanner(strings.NewReader(`{"a":[1,2`))
	if _, err := s.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("got %v, want ErrUnexpectedEOF", err)
	}
}

func FuzzScanner(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"service_list","params":[]}`))
	f.Add([]byte("list\n[{}]}{\"\\\"\""))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := NewScanner(bytes.NewReader(b))
		for total := 0; ; {
			msg, err := s.Next()
			if errors.Is(err, ErrGarbage) {
				continue
			}
			if err != nil {
				return
			}
			if total += len(msg); total > len(b) {
				t.Fatal("more came out than went in")
			}
			if !bytes.Contains(b, msg) {
				t.Fatalf("%q was not in the stream", msg)
			}
		}
	})
}
