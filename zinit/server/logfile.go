package server

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"strconv"

	"herosup/zinit"
)

// logFile is a service's own log file. One goroutine (run) writes it; like the
// spool it may lose lines to a slow disk, and then says how many, but holds
// nobody up.
type logFile struct {
	spec    zinit.LogFile
	log     *slog.Logger
	batches chan []string
	lost    int // lines left out since the latest batch; of the sender

	file   *os.File
	size   uint64
	failed bool // and told
}

func newLogFile(spec zinit.LogFile, log *slog.Logger) *logFile {
	return &logFile{spec: spec.OrDefaults(), log: log, batches: make(chan []string, spoolQueue)}
}

// offer hands lines over, or counts them as lost. It never waits.
func (f *logFile) offer(lines []string) {
	if f.lost > 0 {
		lines = append([]string{"zinit: " + droppedText(f.lost)}, lines...)
	}
	select {
	case f.batches <- lines:
		f.lost = 0
	default:
		f.lost += len(lines)
	}
}

// run writes until batches is closed.
func (f *logFile) run() {
	var b bytes.Buffer
	for lines := range f.batches {
		b.Reset()
		for _, l := range lines {
			b.WriteString(l)
			b.WriteByte('\n')
		}
		err := f.write(b.Bytes())
		if err != nil && !f.failed {
			f.log.Warn("log file not written", "path", f.spec.Path, "err", err)
		}
		f.failed = err != nil
	}
	f.close()
}

func (f *logFile) write(b []byte) error {
	if f.file != nil && f.moved() {
		f.close() // somebody else turned it over
	}
	if f.file == nil {
		if err := f.open(); err != nil {
			return err
		}
	}
	if f.size > 0 && f.size+uint64(len(b)) > f.spec.MaxSize {
		f.close()
		if err := f.turn(); err != nil {
			return err
		}
		if err := f.open(); err != nil {
			return err
		}
	}
	n, err := f.file.Write(b)
	f.size += uint64(n)
	return err
}

func (f *logFile) open() error {
	file, err := os.OpenFile(f.spec.Path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	fi, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return err
	}
	f.file, f.size = file, uint64(fi.Size())
	return nil
}

// moved reports whether the path is another file's by now, or nobody's.
func (f *logFile) moved() bool {
	at, err := os.Stat(f.spec.Path)
	if err != nil {
		return true
	}
	ours, err := f.file.Stat()
	return err != nil || !os.SameFile(at, ours)
}

// turn makes each file the next older one; the oldest goes.
func (f *logFile) turn() error {
	for n := f.spec.Keep; n > 0; n-- {
		from := f.spec.Path
		if n > 1 {
			from += "." + strconv.Itoa(n-1)
		}
		err := os.Rename(from, f.spec.Path+"."+strconv.Itoa(n))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (f *logFile) close() {
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}
}

// logTo has the output of a service written into a file from now on; a spec
// without a path ends that.
func (g *logs) logTo(service string, spec zinit.LogFile, log *slog.Logger) {
	g.do(func() {
		if f := g.files[service]; f != nil {
			close(f.batches)
			delete(g.files, service)
		}
		if spec.Path != "" {
			f := newLogFile(spec, log)
			g.files[service] = f
			g.writers.Go(f.run)
		}
	})
}

// toFiles hands lines, all of one label, to the file of their service.
func (g *logs) toFiles(lines []line) {
	if len(g.files) == 0 || len(lines) == 0 {
		return
	}
	f := g.files[serviceOf(lines[0].label)]
	if f == nil {
		return
	}
	texts := make([]string, len(lines))
	for i, l := range lines {
		texts[i] = l.text
	}
	f.offer(texts)
}
