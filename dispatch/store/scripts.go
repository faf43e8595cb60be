package store

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name Redis gives a script
	"embed"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// scriptsVersion names the set of scripts for clients that EVAL them: raise it with
// every change of a script's keys, arguments or answers.
const scriptsVersion = "3"

//go:embed scripts/*.lua scripts/lib/*.lua
var sources embed.FS

// script is one Lua script as Redis gets it, and what its header says of its call.
type script struct {
	name     string
	keys     []string // roles, in order
	fixed    []key    // whose names stand in its text: each argument costs at every call
	args     []string // names, in order
	moreKeys bool     // keys of unnamed number follow
	moreArgs bool
	source   string
	sha      string
}

// constants are the settings that a Store's scripts carry in their text: an argument costs at each call.
type constants struct {
	prefix              string // a token, perhaps in braces
	keepS               int64
	done                int    // ended records kept
	result              string // ms that results are kept; "": as their records
	deadMost            int    // of the dead list
	deadAge             int64  // ms
	retryBase, retryCap int64  // ms
}

// lua writes them as locals.
func (c constants) lua() string {
	return fmt.Sprintf("local c_prefix, c_keep, c_done, c_result = '%s', '%d', %d, '%s'\nlocal c_dead_most, c_dead_age, c_retry_base, c_retry_cap = %d, %d, %d, %d\n",
		c.prefix, c.keepS, c.done, c.result, c.deadMost, c.deadAge, c.retryBase, c.retryCap)
}

// loadScripts assembles all scripts: the names of the header become Lua locals, the parts
// it USEs come before its body. Each part exists once.
func loadScripts(c constants) (map[string]*script, error) {
	entries, err := sources.ReadDir("scripts")
	if err != nil {
		return nil, fmt.Errorf("load scripts: %w", err)
	}
	all := make(map[string]*script)
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		s, err := loadScript(strings.TrimSuffix(e.Name(), ".lua"), c)
		if err != nil {
			return nil, fmt.Errorf("load script %s: %w", e.Name(), err)
		}
		all[s.name] = s
	}
	return all, nil
}

func loadScript(name string, c constants) (*script, error) {
	text, err := sources.ReadFile(path.Join("scripts", name+".lua"))
	if err != nil {
		return nil, err
	}
	s := &script{name: name}
	var parts []string
	for line := range strings.Lines(string(text)) {
		word, rest, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "-- "), " ")
		if !strings.HasPrefix(line, "-- ") {
			break
		}
		switch word {
		case "KEYS":
			s.keys = strings.Fields(rest)
		case "FIXED":
			for role := range strings.FieldsSeq(rest) {
				k, ok := keys(c.prefix).fixed()[role]
				if !ok {
					return nil, fmt.Errorf("key %s is none of the fixed ones", role)
				}
				s.fixed = append(s.fixed, k)
			}
		case "ARGV":
			s.args = strings.Fields(rest)
		case "USE":
			parts = strings.Fields(rest)
		case "More":
			s.moreKeys = s.moreKeys || strings.HasPrefix(rest, "KEYS")
			s.moreArgs = s.moreArgs || strings.HasPrefix(rest, "ARGV")
		}
	}
	var b strings.Builder
	b.WriteString(c.lua())
	for _, k := range s.fixed {
		fmt.Fprintf(&b, "local k_%s = '%s'\n", k.role, k.name)
	}
	for i, k := range s.keys {
		fmt.Fprintf(&b, "local k_%s = KEYS[%d]\n", k, i+1)
	}
	for i, a := range s.args {
		fmt.Fprintf(&b, "local a_%s = ARGV[%d]\n", a, i+1)
	}
	b.WriteString("local rare = {}\n")
	var rare strings.Builder
	have := map[string]bool{}
	for _, p := range parts {
		if err := writePart(&b, &rare, p, have); err != nil {
			return nil, err
		}
	}
	if rare.Len() > 0 {
		b.WriteString("setmetatable(rare, { __index = function(_, name)\nsetmetatable(rare, nil)\n" + rare.String() + "return rare[name]\nend })\n")
	}
	// What the parts gathered is written at the end, whichever way the script returns.
	b.WriteString("local function main()\n")
	writeLean(&b, string(text))
	b.WriteString("end\nlocal answer = main()\n")
	if have["end"] {
		b.WriteString("end_all()\n")
	}
	if have["fact"] {
		b.WriteString("tell_all()\n")
	}
	b.WriteString("return answer\n")
	s.source = b.String()
	sum := sha1.Sum([]byte(s.source)) //nolint:gosec // as above
	s.sha = hex.EncodeToString(sum[:])
	return s, nil
}

// rareMark divides a part: what stands below it is made when one of its functions is called for the first time. Redis
// makes every function of a script anew at each call, which for all of them took a fourth of the time of an exchange.
const rareMark = "-- RARE\n"

// writePart writes a part, behind those that it USEs itself; each once.
func writePart(b, rare *strings.Builder, name string, have map[string]bool) error {
	if have[name] {
		return nil
	}
	have[name] = true
	lib, err := sources.ReadFile(path.Join("scripts/lib", name+".lua"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(lib), "\n")
	if uses, ok := strings.CutPrefix(first, "-- USE "); ok {
		for _, u := range strings.Fields(uses) {
			if err := writePart(b, rare, u, have); err != nil {
				return err
			}
		}
	}
	always, later, _ := strings.Cut(string(lib), rareMark)
	writeLean(b, always)
	writeLean(rare, later)
	return nil
}

// writeLean drops comments and indentation: miniredis parses a script at each call.
func writeLean(b *strings.Builder, text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "--") {
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
}

// check compares a call with the header: a key in another's place would be silent corruption.
func (s *script) check(ks []key, args []any) error {
	if len(ks) < len(s.keys) || len(ks) > len(s.keys) && !s.moreKeys {
		return fmt.Errorf("call script %s: %d keys, its header names %d", s.name, len(ks), len(s.keys))
	}
	if len(args) < len(s.args) || len(args) > len(s.args) && !s.moreArgs {
		return fmt.Errorf("call script %s: %d arguments, its header names %d", s.name, len(args), len(s.args))
	}
	for i, role := range s.keys {
		if ks[i].role != role {
			return fmt.Errorf("call script %s: key %d is %s, its header says %s", s.name, i+1, ks[i].role, role)
		}
	}
	return nil
}

func names(ks []key) []string {
	out := make([]string, len(ks))
	for i, k := range ks {
		out[i] = k.name
	}
	return out
}

// run calls a script: EVALSHA, and EVAL when Redis does not know it.
func (s *Store) run(ctx context.Context, name string, ks []key, args ...any) (reply, error) {
	sc := s.scripts[name]
	if err := sc.check(ks, args); err != nil {
		return reply{}, err
	}
	ns := names(ks)
	v, err := s.rdb.EvalSha(ctx, sc.sha, ns, args...).Result()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		v, err = s.rdb.Eval(ctx, sc.source, ns, args...).Result()
	}
	if err != nil {
		return reply{}, s.fault(ctx, err, slices.Concat(ks, sc.fixed))
	}
	return readReply(name, v)
}

// scriptCall is one call of several.
type scriptCall struct {
	keys []key
	args []any
}

// runAll calls a script several times, in order, in one pipeline. Each has its own answer, and one that fails
// stops none of the others. No answers: a call is not as its header says.
func (s *Store) runAll(ctx context.Context, sc *script, calls []scriptCall) (cmds []*redis.Cmd, err error) {
	for _, c := range calls {
		if err := sc.check(c.keys, c.args); err != nil {
			return nil, err
		}
	}
	send := func(load bool) ([]*redis.Cmd, error) {
		p := s.rdb.Pipeline()
		cmds := make([]*redis.Cmd, len(calls))
		for i, c := range calls {
			if load && i == 0 { // which makes Redis know it for the rest
				cmds[i] = p.Eval(ctx, sc.source, names(c.keys), c.args...)
			} else {
				cmds[i] = p.EvalSha(ctx, sc.sha, names(c.keys), c.args...)
			}
		}
		_, err := p.Exec(ctx)
		return cmds, err
	}
	if cmds, err = send(false); redis.HasErrorPrefix(err, "NOSCRIPT") {
		cmds, err = send(true)
	}
	return cmds, err
}

// PublishScripts stores the scripts' sources under script:<version> for clients in other languages.
func (s *Store) PublishScripts(ctx context.Context) error {
	k := s.keys.script(scriptsVersion)
	var set []any
	for name, sc := range s.scripts {
		set = append(set, name, sc.source)
	}
	return s.fault(ctx, s.rdb.HSet(ctx, k.name, set...).Err(), []key{k})
}
