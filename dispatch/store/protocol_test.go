package store

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated part of dispatch/PROTOCOL.md anew")

// actorScripts are those that an actor calls, in the order of its life.
var actorScripts = []string{"hello", "assert", "exchange", "group", "renew", "pong"}

// The page for people who write an actor in another language says of each script what its header says, and
// names the keys as they are made.
func TestProtocolPageIsTheHeaders(t *testing.T) {
	const file, end = "../PROTOCOL.md", "<!-- end -->\n"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	i := strings.Index(string(page), "<!-- generated")
	j := strings.Index(string(page), end)
	if i < 0 || j < i {
		t.Fatalf("%s has no generated part", file)
	}
	i += strings.Index(string(page[i:]), "\n") + 1
	want := "\n" + protocolPage(t) + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(string(page[:i])+want+string(page[j:])), 0o644); err != nil { //nolint:gosec // a page of the source
			t.Fatal(err)
		}
		return
	}
	if string(page[i:j]) != want {
		t.Errorf("%s is not what the headers say; write it anew with -update", file)
	}
	if version := "hero:script:" + scriptsVersion; !strings.Contains(string(page), "`"+version+"`") {
		t.Errorf("%s does not name %s", file, version)
	}
	actor, err := os.ReadFile("../../testdata/actors/actor.py")
	if err != nil || !strings.Contains(string(actor), ":script:"+scriptsVersion+`"`) {
		t.Errorf("actor.py is not of version %s: %v", scriptsVersion, err)
	}
}

func protocolPage(t *testing.T) string {
	t.Helper()
	scripts, err := loadScripts(constants{prefix: "hero", keepS: 3600, done: 100, deadMost: 100, deadAge: 1000, retryBase: 1000, retryCap: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	k := keys("hero")
	named := k.fixed()
	for _, key := range []key{
		k.queue("<type>"), k.idle("<type>"), k.lease("<type>"), k.actor("<name>"), k.wake("<name>"), k.held("<incarnation>"), k.job("<id>"), k.asserted(), k.delayed("<type>"),
	} {
		named[key.role] = key
	}
	var b strings.Builder
	b.WriteString("## The scripts of an actor\n")
	used := map[string]bool{}
	for _, name := range actorScripts {
		text, err := sources.ReadFile("scripts/" + name + ".lua")
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("\n")
		for line := range strings.Lines(string(text)) {
			comment, ok := strings.CutPrefix(line, "-- ")
			if !ok {
				break
			}
			if !strings.HasPrefix(comment, "USE ") { // how the text is assembled is not the caller's
				b.WriteString("    " + comment)
			}
		}
		for _, role := range scripts[name].keys {
			used[role] = true
		}
	}
	b.WriteString("\n## The keys by role\n\n| role | key | type |\n|---|---|---|\n")
	for _, role := range slices.Sorted(maps.Keys(used)) {
		key, ok := named[role]
		if !ok {
			t.Fatalf("the key of role %s is not known here", role)
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s |\n", role, key.name, key.kind)
	}
	return b.String()
}
