package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"herosup/events"
	"herosup/zinit"
)

// instance names the folder in marks: the mark of a service of one server must
// not fit a service of the same name of another.
func instance(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:4])
}

// records are what the next server has to know if this one is killed, in a
// folder ".running" beside the service files:
//
//	<service>        the process that it was started as last, an incarnation
//	<service>.state  what is wanted of it and how it ended, if that is not
//	                 "Up" and "not at all"
//	out.d/           the pipes of its output, and a stock of such; log.0 and log.1 the latest output
//	reader.lock      see keeper.go
//
// A record of a dead process is harmless: it names an incarnation, not a PID, so
// it is not taken away when a process ends.
type records struct {
	dir      string
	instance string
	stock    *stock
}

const (
	stateSuffix = ".state" // no service's name holds a dot
	outputsDir  = "out.d"
)

func newRecords(dir string) records {
	return records{dir: filepath.Join(dir, ".running"), instance: instance(dir)}
}

func (r records) path(name string) string { return filepath.Join(r.dir, name) }

// mark is what the processes of a service carry in their environment; those of
// its test carry testMark.
func (r records) mark(service string) string { return r.instance + "/" + service }

func testMark(mark string) string { return mark + testLabel }

// belongs reports whether a process with this mark is of the service with mark.
func belongs(found, mark string) bool {
	return mark != "" && (found == mark || found == testMark(mark))
}

// write notes a start. The mark in the environment is the second net, for the
// moment between the start and this.
func (r records) write(service string, life events.Incarnation) error {
	path := r.path(service)
	err := overwrite(path, life.String(), 0)
	if errors.Is(err, os.ErrNotExist) {
		if r.stock.file(path, life.String()) {
			return nil
		}
		err = overwrite(path, life.String(), os.O_CREATE)
	}
	if err != nil {
		return fmt.Errorf("note the process of service %s: %w", service, err)
	}
	return nil
}

// recordLen is the length of every record: the longest incarnation, with room.
const recordLen = 64

// overwrite puts text into a file in one write, without making the file empty
// first: some file systems (ext4) take that for a document being saved and flush
// it to the disk, which takes longer than the start of the process.
func overwrite(path, text string, create int) error {
	f, err := os.OpenFile(path, os.O_WRONLY|create, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(fmt.Sprintf("%-*s", recordLen, text)), 0)
	return errors.Join(err, f.Close())
}

// standing is what is known of a service beside its process.
type standing struct {
	// World is where this is true: another start of the machine, or of the
	// container, begins from nothing.
	World string `json:"world"`
	// Target is what is wanted.
	Target zinit.Target `json:"target"`
	// Ended is how its latest process ended, and PID which that was; the zero
	// values where that makes no difference to the next server.
	Ended zinit.State `json:"ended,omitzero"`
	PID   int         `json:"pid,omitempty"`
}

// usual reports whether it says no more than that the service is to run.
func (s standing) usual() bool { return s.Target == zinit.Up && s.PID == 0 }

// thisWorld names this run of the machine or the container by its first process, or
// where that one is hidden by the boot alone.
func thisWorld() string {
	if first, err := events.IncarnationOf(1); err == nil {
		return first.String()
	}
	self, _ := events.IncarnationOf(os.Getpid())
	return self.Boot
}

// writeStanding notes what is known of a service, all of it or nothing.
func (r records) writeStanding(service string, s standing) error {
	path := r.path(service + stateSuffix)
	if s.usual() {
		if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// readStanding is what was noted in this world; the usual if nothing was, or
// nothing that can be read.
func (r records) readStanding(service, world string) standing {
	var s standing
	text, err := os.ReadFile(r.path(service + stateSuffix))
	if err != nil || json.Unmarshal(text, &s) != nil || s.World != world || s.Target != zinit.Up && s.Target != zinit.Down {
		return standing{World: world, Target: zinit.Up}
	}
	return s
}

// read is the process that a service was started as last; the zero value if
// none was noted, or the note was cut off by a crash.
func (r records) read(service string) events.Incarnation {
	text, err := os.ReadFile(r.path(service))
	if err != nil {
		return events.Incarnation{}
	}
	life, err := events.ParseIncarnation(strings.TrimSpace(string(text)))
	if err != nil {
		return events.Incarnation{}
	}
	return life
}

// services are those of which a process was noted.
func (r records) services() ([]string, error) {
	noted, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("start zinit: %w", err)
	}
	var names []string
	for _, n := range noted {
		if n.Type().IsRegular() && zinit.ValidName(n.Name()) == nil {
			names = append(names, n.Name())
		}
	}
	return names, nil
}

// remove forgets a service.
func (r records) remove(service string) {
	_ = os.Remove(r.path(service))
	_ = os.Remove(r.path(service + stateSuffix))
}

// removeAll is for the end of a server that left nothing. The lock stays, as
// every lock's file does.
func (r records) removeAll() {
	entries, _ := os.ReadDir(r.dir)
	for _, e := range entries {
		if e.Name() != readerLock {
			_ = os.RemoveAll(r.path(e.Name()))
		}
	}
}

// endPatience is how long a process may be in the middle of its end, or of an exec, on a machine that is busy otherwise.
const endPatience = time.Second

// marked are the processes that carry a mark of this folder, by service. One that is in the middle of something is waited for
// up to patience: whose it is can not be seen.
func (r records) marked(patience time.Duration) (map[string][]proc, error) {
	found, known := make(map[string][]proc), make(map[id]bool)
	until := time.Now().Add(patience)
	// One in the middle of an exec shows nothing for a moment, and one that ends
	// may have started another.
	for look := 1; ; look++ {
		all, err := allProcs()
		if err != nil {
			return nil, fmt.Errorf("look for processes of an earlier zinit: %w", err)
		}
		again := false
		for _, p := range all {
			if !p.live() || p.pid == os.Getpid() || known[p.id()] {
				continue
			}
			mark, sure := envValue(p.pid, markName)
			label, ok := strings.CutPrefix(mark, r.instance+"/")
			service, isTest := strings.CutSuffix(label, testLabel)
			switch {
			case sure:
				known[p.id()] = true
			case look < maxUnsure:
				again = true
			default: // a process without any environment has arguments
				again = again || time.Now().Before(until) && inBetween(p.pid)
			}
			if ok && zinit.ValidName(service) == nil {
				p.test = isTest
				found[service] = append(found[service], p)
			}
		}
		if !again {
			break
		}
		<-time.After(firstLook)
	}
	return found, nil
}
