package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"time"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// logFile is a service's own log file. One goroutine (run) writes it; like the
// spool it may lose lines to a slow or full disk, and then says how many, but
// holds nobody up.
type logFile struct {
	spec    zinit.LogFile
	log     *slog.Logger
	batches chan []string
	lost    int // lines left out since the latest batch; of the sender

	file   *os.File
	size   uint64
	turns  bool      // it is a regular file, to be turned over
	until  time.Time // at the end, when it is none: when all has to be written
	torn   bool      // it ends in the middle of a line
	missed int       // lines that could not be written since the latest that was
	failed bool      // and told
}

// otherPatience is how long a write may take to what is no regular file (a FIFO that
// nobody reads, a terminal that was stopped), and all that is left at the end together.
const otherPatience = time.Second

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

// run writes until batches is closed; ctx ends before that at the end of the server.
func (f *logFile) run(ctx context.Context) {
	var b bytes.Buffer
	for lines := range f.batches {
		b.Reset()
		if f.torn {
			b.WriteByte('\n')
		}
		if f.missed > 0 {
			b.WriteString("zinit: " + droppedText(f.missed) + "\n")
		}
		head := b.Len()
		for _, l := range lines {
			b.WriteString(l)
			b.WriteByte('\n')
		}
		n, err := f.write(ctx, b.Bytes())
		f.account(b.Bytes()[:n], head, len(lines), err != nil)
		if err != nil && !f.failed {
			f.log.Warn("log file not written", "path", f.spec.Path, "err", err)
		}
		f.failed = err != nil
	}
	f.close()
}

// account takes note of what has been written of a batch, whose lines begin at head:
// what a full disk has no room for is told when there is room again.
func (f *logFile) account(written []byte, head, lines int, failed bool) {
	if len(written) > 0 {
		f.torn = written[len(written)-1] != '\n'
	}
	if len(written) >= head {
		f.missed = 0
		lines -= bytes.Count(written[head:], []byte{'\n'})
	}
	if failed {
		f.missed += lines
	}
}

func (f *logFile) write(ctx context.Context, b []byte) (n int, err error) {
	if f.file != nil && f.moved() {
		f.close() // somebody else turned it over
	}
	if f.file == nil {
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	if !f.turns {
		return f.writeOther(ctx, b)
	}
	if f.size > 0 && f.size+uint64(len(b)) > f.spec.MaxSize {
		f.close()
		if err := f.turn(); err != nil {
			return 0, err
		}
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	n, err = f.file.Write(b)
	f.size += uint64(n)
	return n, err
}

// writeOther writes to what is no regular file, and does not wait for it for ever.
func (f *logFile) writeOther(ctx context.Context, b []byte) (n int, err error) {
	deadline := time.Now().Add(otherPatience)
	if ctx.Err() != nil && f.until.IsZero() {
		f.until = deadline
	}
	if !f.until.IsZero() {
		deadline = f.until
	}
	_ = f.file.SetWriteDeadline(deadline) // a device without one (/dev/null) does not wait
	return f.file.Write(b)
}

// open opens what the path names. Somebody may have put there what is no regular file,
// /dev/stdout for one: that is written into and else left as it is, and a FIFO without
// a reader is an error, not a wait.
func (f *logFile) open() error {
	file, err := os.OpenFile(f.spec.Path, os.O_CREATE|os.O_WRONLY|os.O_APPEND|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	fi, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return err
	}
	f.file, f.size, f.turns = file, uint64(fi.Size()), fi.Mode().IsRegular()
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

// turn makes each file the next older one, up to a gap; the oldest goes. While the latest can not be renamed (it is
// a mount) there is a gap behind it, so that no try costs an older one.
func (f *logFile) turn() error {
	last := 1
	for last < f.spec.Keep {
		if _, err := os.Lstat(f.spec.Path + "." + strconv.Itoa(last)); errors.Is(err, os.ErrNotExist) {
			break
		}
		last++
	}
	for n := last; n > 0; n-- {
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
			g.writers.Go(func() { f.run(g.ctx) })
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
