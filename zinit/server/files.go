package server

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"herosup/zinit"

	"github.com/goccy/go-yaml"
)

// suffix is what makes a file in the folder a service file.
const suffix = ".yaml"

// files are the service files of a folder. They are for concurrent use: each
// operation is one step of the file system. Names are checked by the caller.
type files struct{ dir string }

func (f files) path(name string) string { return filepath.Join(f.dir, name+suffix) }

// loadAll reads every service file. What is no service is told and left out.
func (f files) loadAll(log *slog.Logger) (map[string]zinit.Service, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("start zinit: read service files: %w", err)
	}
	all := make(map[string]zinit.Service)
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || !e.Type().IsRegular() {
			continue
		}
		err := zinit.ValidName(name)
		var s zinit.Service
		if err == nil {
			s, err = f.load(name)
		}
		if err != nil {
			log.Warn("service file skipped", "file", e.Name(), "err", err)
			continue
		}
		all[name] = s
	}
	return all, nil
}

// load reads one service file.
func (f files) load(name string) (zinit.Service, error) {
	text, err := f.read(name)
	if err != nil {
		return zinit.Service{}, err
	}
	return zinit.ParseFile(text)
}

func (f files) read(name string) ([]byte, error) {
	file, err := os.Open(f.path(name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, zinit.MaxFile+1))
	if err == nil && len(text) > zinit.MaxFile {
		err = fmt.Errorf("service file is over the limit of %d bytes", zinit.MaxFile)
	}
	return text, err
}

// get is a service file as JSON, keys that we do not know included.
func (f files) get(name string) ([]byte, error) {
	text, err := f.read(name)
	if err != nil {
		return nil, err
	}
	return yaml.YAMLToJSON(text)
}

// errExists says that there is a file of that name.
var errExists = errors.New("the service's file is there already")

// create writes a new service file: all of it or nothing, and never over
// another. It is not flushed to the disk: services are made anew after a power
// cut by whoever wants them, and a flush costs more than a process.
func (f files) create(name string, content []byte) error {
	text, err := zinit.EncodeFile(content)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(f.dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	err = os.Link(tmp.Name(), f.path(name)) // unlike a rename, refuses to replace
	if errors.Is(err, os.ErrExist) {
		return errExists
	}
	return err
}

// remove takes a service file away.
func (f files) remove(name string) error { return os.Remove(f.path(name)) }
