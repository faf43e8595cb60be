package arrows

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var components = []string{"fsm", "scaler", "monitor", "zinit", "dispatch"}

type pkg struct {
	ImportPath                        string
	Imports, TestImports, XTestImport []string
}

// verdict says why the import is not allowed, or "".
func verdict(from, to string, test bool) string {
	rest, ours := strings.CutPrefix(to, "herosup/")
	room, _, _ := strings.Cut(strings.TrimPrefix(from, "herosup/"), "/")
	if !ours {
		switch {
		case test:
			return ""
		case to == "testing" && !strings.HasSuffix(from, "/zinittest") && !strings.HasSuffix(from, "/redistest"):
			return "test code stays out of the binary"
		case to == "text/template", to == "html/template":
			return "it makes the linker keep every exported method (9 MB)"
		case room == "events" && strings.Contains(to, ".") && !strings.HasPrefix(to, "github.com/nats-io/"):
			return "events imports the standard library and nats only"
		}
		return ""
	}
	target, _, _ := strings.Cut(rest, "/")
	switch {
	case room == "cmd" || target == room || room == "testdata":
		return ""
	case target == "cmd":
		return "nobody imports cmd"
	case target == "events" && slices.Contains(components, room):
		return ""
	case slices.Contains(components, room):
		return "components talk through events: import events, not " + target
	default:
		return room + " imports nothing of ours but itself"
	}
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "herosup/...")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(out); ; {
		var p struct {
			pkg
			XTestImports []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		p.XTestImport = p.XTestImports
		all = append(all, p.pkg)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range list(t) {
		room, _, _ := strings.Cut(strings.TrimPrefix(p.ImportPath, "herosup/"), "/")
		seen[room] = true
		for _, to := range p.Imports {
			if why := verdict(p.ImportPath, to, false); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, to, why)
			}
		}
		for _, to := range slices.Concat(p.TestImports, p.XTestImport) {
			if why := verdict(p.ImportPath, to, true); why != "" {
				t.Errorf("tests of %s import %s: %s", p.ImportPath, to, why)
			}
		}
	}
	// A rule about a room that is gone would hold nothing.
	for _, c := range append(components, "events", "cmd") {
		if !seen[c] {
			t.Errorf("there is no package below %s any more", c)
		}
	}
}

// The rule itself: each forbidden arrow is one, each allowed one is not.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		from, to string
		allowed  bool
	}{
		{"herosup/fsm", "herosup/events", true},
		{"herosup/zinit", "herosup/zinit/server", true},
		{"herosup/cmd/herosup", "herosup/scaler", true},
		{"herosup/fsm", "herosup/zinit", false},
		{"herosup/dispatch/store", "herosup/monitor", false},
		{"herosup/scaler", "herosup/cmd/internal/daemon", false},
		{"herosup/events", "herosup/fsm", false},
		{"herosup/events", "github.com/redis/go-redis/v9", false},
		{"herosup/events/embedded", "github.com/nats-io/nats-server/v2/server", true},
		{"herosup/monitor", "testing", false},
		{"herosup/monitor", "html/template", false},
	} {
		if why := verdict(c.from, c.to, false); (why == "") != c.allowed {
			t.Errorf("%s -> %s: %q, allowed %v", c.from, c.to, why, c.allowed)
		}
	}
}
