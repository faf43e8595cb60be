package server

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"herosup/events"
	"herosup/zinit"
)

// LeftOver is a process that an earlier server over the same folder started.
type LeftOver struct {
	Service string
	PID     int
}

// LeftOvers says that processes of an earlier server live. Starting their
// services would make second copies of them.
type LeftOvers struct {
	Dir       string
	Processes []LeftOver
}

// Error names them all and says how to end them.
func (l *LeftOvers) Error() string {
	var names, pids []string
	for _, p := range l.Processes {
		names = append(names, fmt.Sprintf("%s (PID %d)", p.Service, p.PID))
		pids = append(pids, strconv.Itoa(p.PID))
	}
	return fmt.Sprintf("start zinit over %s: processes of an earlier zinit, which was killed, still run: %s; end them with: kill %s",
		l.Dir, strings.Join(names, ", "), strings.Join(pids, " "))
}

// instance names the folder in marks: the mark of a service of one server must
// not fit a service of the same name of another.
func instance(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:4])
}

// records keep which process each service was started as, so that the next
// server finds those that a killed one left. A record of a dead process is
// harmless: it names an incarnation, not a PID, so it is not taken away when a
// process ends.
type records struct {
	dir      string // of the records
	instance string
}

func newRecords(dir string) records {
	return records{dir: filepath.Join(dir, ".running"), instance: instance(dir)}
}

// mark is what the processes of a service carry in their environment.
func (r records) mark(service string) string { return r.instance + "/" + service }

// write notes a start. The mark in the environment is the second net, for the
// moment between the start and this.
func (r records) write(service string, pid int) error {
	inc, err := events.IncarnationOf(pid)
	if errors.Is(err, events.ErrNoProcess) {
		return nil // over already
	}
	if err == nil {
		err = overwrite(filepath.Join(r.dir, service), inc.String())
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
func overwrite(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(fmt.Sprintf("%-*s", recordLen, text)), 0)
	return errors.Join(err, f.Close())
}

func (r records) remove(service string) { _ = os.Remove(filepath.Join(r.dir, service)) }

// removeAll is for the end of a server that left nothing.
func (r records) removeAll() { _ = os.RemoveAll(r.dir) }

// find looks for processes of an earlier server: those that were noted, and
// those that carry a mark of this folder.
func (r records) find(log *slog.Logger) ([]LeftOver, error) {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, fmt.Errorf("start zinit: %w", err)
	}
	found := make(map[LeftOver]bool)
	noted, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("start zinit: %w", err)
	}
	for _, n := range noted {
		b, err := os.ReadFile(filepath.Join(r.dir, n.Name()))
		if err != nil {
			return nil, fmt.Errorf("start zinit: %w", err)
		}
		inc, err := events.ParseIncarnation(strings.TrimSpace(string(b)))
		switch {
		case err != nil: // cut off by a crash: the mark has to do
			log.Warn("process record is unreadable", "service", n.Name(), "err", err)
		case inc.Alive():
			found[LeftOver{n.Name(), inc.PID}] = true
		}
	}
	all, err := allProcs()
	if err != nil {
		return nil, fmt.Errorf("start zinit: look for processes: %w", err)
	}
	for _, p := range all {
		if service, ok := r.marked(p); ok {
			found[LeftOver{service, p.pid}] = true
		}
	}
	var list []LeftOver
	for l := range found {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b LeftOver) int { return a.PID - b.PID })
	return list, nil
}

// marked reports which service of this folder the process carries the mark of.
func (r records) marked(p proc) (service string, ok bool) {
	if !p.live() || p.pid == os.Getpid() {
		return "", false
	}
	mark, _ := envValue(p.pid, markName)
	service, ok = strings.CutPrefix(mark, r.instance+"/")
	return service, ok && zinit.ValidName(service) == nil
}
