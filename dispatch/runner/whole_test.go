package runner

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What the #! line names has to be there, too: else the program is as missing as if it were not there.
func TestAProgramIsWhole(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return at
	}
	put("lua", "#!/bin/sh\n")
	first := put("first", "#!"+filepath.Join(dir, "second")+"\n")
	for text, missing := range map[string]string{
		"#!/bin/sh\n":                           "",
		"#! /bin/sh -e\n":                       "",
		"#!/no/such/rhai\n":                     "/no/such/rhai",
		"#!/no/such/rhai -x":                    "/no/such/rhai",
		"#!/usr/bin/env lua\n":                  "",
		"#!/usr/bin/env gone\n":                 "gone",
		"#!/usr/bin/env -S lua -x\n":            "",
		"#!/usr/bin/env -S gone -x\n":           "gone",
		"#!/no/such/env lua\n":                  "/no/such/env",
		"#!/usr/bin/env A=b gone\n":             "", // nobody can tell
		"#!bin/gone\n":                          "",
		"#!":                                    "",
		"\x7fELF":                               "",
		"":                                      "",
		"#!" + first + "\n":                     filepath.Join(dir, "second"), // a script of a script
		"#!" + dir + "\n":                       dir,
		"# no\n#!/no/such/rhai\n":               "",
		"#!" + strings.Repeat("/", 300):         "",
		"#!/bin/sh " + strings.Repeat("x", 300): "",
	} {
		err := Whole(dir, put("p", text))
		if (err == nil) != (missing == "") || err != nil && (!errors.Is(err, ErrNoInterpreter) || !strings.HasSuffix(err.Error(), " is a script for "+missing+", which is not there")) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	round := put("round", "#!"+filepath.Join(dir, "round")+"\n")
	if err := Whole(dir, round); err != nil { // the kernel's to say
		t.Error(err)
	}
	if err := Whole(dir, filepath.Join(dir, "nobody")); err != nil {
		t.Error(err)
	}
	broken := put("rhai-run", "#!/no/such/rhai\n")
	if _, err := FindOn(dir, "osis"); err == nil || errors.Is(err, exec.ErrNotFound) || err.Error() != broken+" is a script for /no/such/rhai, which is not there" {
		t.Error(err)
	}
	if _, err := FindOn(t.TempDir(), "osis"); err == nil || err.Error() != "rhai-run, which runs jobs of type osis, is not on the PATH" {
		t.Error(err)
	}
}

// Such an interpreter runs nothing, and no script fails for it.
func TestABrokenInterpreterIsNone(t *testing.T) {
	dir := t.TempDir()
	for name, argv := range map[string][]string{
		"#!/no/such/rhai\n":        {"{}"},
		"#!/usr/bin/env gone\n":    {"{}"},
		"#!/no/such/v\n":           {"{}", "{script.v}"},
		"#!/usr/bin/env gone -x\n": {"{}", "{script}"},
	} {
		at := filepath.Join(dir, "i")
		if err := os.WriteFile(at, []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
		argv[0] = at
		res := Run(context.Background(), Spec{Interpreter: argv, Script: "echo"})
		if res.Ran || !errors.Is(res.Err, ErrNoInterpreter) || !strings.Contains(res.Err.Error(), "which is not there; install it") {
			t.Errorf("%q: %+v", name, res)
		}
	}
}
