// Reads a snapshot archive with Go's own gzip and tar and the MessagePack module that Consul uses,
// in the order in which Consul's tools read it, and says what is in it as JSON.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

const kvRecord = 2

type directoryEntry struct {
	LockIndex   uint64
	Key         string
	Flags       uint64
	Value       []byte
	Session     string `codec:",omitempty"`
	CreateIndex uint64
	ModifyIndex uint64
}

type report struct {
	Index   uint64            `json:"index"`
	Records map[string]int    `json:"records"`
	Keys    map[string]string `json:"keys"`
}

func main() {
	result, err := read(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(result)
}

func read(path string) (*report, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	members, err := readMembers(unzipped)
	if err != nil {
		return nil, err
	}
	// Consul refuses what follows the end of the tar.
	if rest, err := io.ReadAll(unzipped); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes after the tar, %v", len(rest), err)
	}
	if err := checkSums(members); err != nil {
		return nil, err
	}
	var meta struct {
		Version int
		Index   uint64
		Size    int64
	}
	if err := json.Unmarshal(members["meta.json"], &meta); err != nil {
		return nil, fmt.Errorf("meta.json: %w", err)
	}
	if meta.Size != int64(len(members["state.bin"])) {
		return nil, fmt.Errorf("state.bin has %d bytes, not %d", len(members["state.bin"]), meta.Size)
	}
	return readState(members["state.bin"])
}

func readMembers(unzipped io.Reader) (map[string][]byte, error) {
	members := map[string][]byte{}
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return members, nil
		}
		if err != nil {
			return nil, fmt.Errorf("tar: %w", err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, fmt.Errorf("tar: %w", err)
		}
		members[header.Name] = content
	}
}

func checkSums(members map[string][]byte) error {
	lines := bufio.NewScanner(bytes.NewReader(members["SHA256SUMS"]))
	checked := 0
	for lines.Scan() {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		found := sha256.Sum256(members[name])
		if hex.EncodeToString(found[:]) != sum {
			return fmt.Errorf("the hash of %s differs", name)
		}
		checked++
	}
	if checked != 2 || len(members) != 3 {
		return fmt.Errorf("%d hashes of %d members", checked, len(members))
	}
	return nil
}

func readState(state []byte) (*report, error) {
	source := bufio.NewReader(bytes.NewReader(state))
	decoder := codec.NewDecoder(source, &codec.MsgpackHandle{})
	var header struct{ LastIndex uint64 }
	if err := decoder.Decode(&header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	result := &report{Index: header.LastIndex, Records: map[string]int{}, Keys: map[string]string{}}
	for {
		kind, err := source.ReadByte()
		if err == io.EOF {
			return result, nil
		}
		if err != nil {
			return nil, err
		}
		result.Records[fmt.Sprint(kind)]++
		if kind != kvRecord {
			var record any
			if err := decoder.Decode(&record); err != nil {
				return nil, fmt.Errorf("record of type %d: %w", kind, err)
			}
			continue
		}
		var entry directoryEntry
		if err := decoder.Decode(&entry); err != nil {
			return nil, fmt.Errorf("KV record: %w", err)
		}
		result.Keys[entry.Key] = string(entry.Value)
	}
}
