package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"

	"herosup/events"
)

// Interpreter finds the command that runs scripts of a type; ok is false when
// this machine has none.
type Interpreter func(scriptType string) (argv []string, ok bool)

// natsURLEnv gives nats.url where the file does not: it may hold a password.
const natsURLEnv = "HEROSUP_NATS_URL"

// Load reads the file; "" gives the defaults. find tells which interpreters
// there are, for the default pools.
func Load(file string, find Interpreter) (Config, error) {
	c := Config{File: file}
	if file == "" {
		c.NATS.URL = os.Getenv(natsURLEnv)
		c.Pools = defaultPools(find)
		c.setDefaults()
		return c, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	const limit = 1 << 20
	if len(b) > limit {
		return Config{}, fmt.Errorf("configuration %s: %d bytes, at most %d are read", file, len(b), limit)
	}
	if strings.TrimSpace(string(b)) != "" {
		if err := yaml.UnmarshalWithOptions(b, &c, yaml.Strict()); err != nil {
			return Config{}, fmt.Errorf("configuration %s:%s", file, explain(err))
		}
		if line := secondDocument(b); line > 0 {
			return Config{}, fmt.Errorf("configuration %s:%d: a second YAML document; one is read\nhint: put all into one, without the line --- between", file, line)
		}
	}
	if c.Pools == nil {
		c.Pools = defaultPools(find)
	}
	c.File = file
	if c.NATS.URL == "" {
		c.NATS.URL = os.Getenv(natsURLEnv)
	}
	c.setDefaults()
	if err := c.validate(positions{file: file, src: b}); err != nil {
		return Config{}, err
	}
	return c, nil
}

// secondDocument is the line where a document begins behind the one that is read, 0 if there is nothing behind it.
func secondDocument(text []byte) int {
	begun, another := false, false // by its line --- alone, too: the parser drops what is behind an empty one
	for _, t := range lexer.Tokenize(string(text)) {
		switch t.Type {
		case token.CommentType, token.DocumentEndType:
		case token.DocumentHeaderType:
			begun, another = true, begun
		default:
			if another {
				return t.Position.Line
			}
			begun = true
		}
	}
	return 0
}

// defaultPools is one pool per interpreter found, so that an empty file runs.
func defaultPools(find Interpreter) map[string]Pool {
	pools := map[string]Pool{}
	for _, t := range []string{"bash", "osis", "python", "sal", "v"} {
		if _, ok := find(t); ok {
			pools[t] = Pool{Type: t}
		}
	}
	return pools
}

// explain turns a YAML fault into position, text and excerpt, and adds the
// nearest key that exists to an unknown one.
func explain(err error) string {
	text := yaml.FormatError(err, false, true)
	var unknown *yaml.UnknownFieldError
	if !errors.As(err, &unknown) {
		return text
	}
	name := between(text, `unknown field "`, `"`)
	if near := events.Nearest(name, knownKeys()); near != "" {
		text += fmt.Sprintf("\nhint: did you mean %q?", near)
	} else {
		text += "\nhint: known keys: " + strings.Join(knownKeys(), " ")
	}
	return text
}

func between(s, a, b string) string {
	_, s, _ = strings.Cut(s, a)
	s, _, _ = strings.Cut(s, b)
	return s
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
