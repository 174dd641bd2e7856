// Copyright (c) 2026, scripts.toolkit contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Auditlog verifies an exported audit log with nothing but the libraries of Go's checksum database.
//
//	auditlog VKEYS DIRECTORY
//
// VKEYS has a verifier key a line. DIRECTORY is in the layout of tlog-tiles: checkpoint, tile/<L>/<N>, tile/entries/<N>.
// Every entry is hashed; the tree over them must have the signed root and, byte for byte, the tiles. Beside that, each
// DIRECTORY/proofs/*.tlog-proof is checked, and each DIRECTORY/old/*.checkpoint with the consistency proof (a hash in
// base64 a line) in the file *.consistency of the same name.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type head struct {
	origin string
	tree   tlog.Tree
}

func fail(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, "auditlog: "+format+"\n", args...)
	os.Exit(1)
}

func read(name string) []byte {
	data, err := os.ReadFile(name)
	if err != nil {
		fail("%v", err)
	}
	return data
}

func verifiers(name string) note.Verifiers {
	var list []note.Verifier
	for _, line := range strings.Split(string(read(name)), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		verifier, err := note.NewVerifier(words[0])
		if err != nil {
			fail("%s: %v", name, err)
		}
		list = append(list, verifier)
	}
	return note.VerifierList(list...)
}

func checkpoint(name string, data []byte, known note.Verifiers) (head, int) {
	opened, err := note.Open(data, known)
	if err != nil {
		fail("%s: %v", name, err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		fail("%s: not a checkpoint of three lines", name)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		fail("%s: size: %v", name, err)
	}
	hash, err := tlog.ParseHash(lines[2])
	if err != nil {
		fail("%s: root: %v", name, err)
	}
	return head{lines[0], tlog.Tree{N: size, Hash: hash}}, len(opened.Sigs)
}

// path is where tlog-tiles has a tile; unlike the checksum database it has no height in it.
func path(tile tlog.Tile) string { return strings.Replace(tile.Path(), "tile/8/", "tile/", 1) }

// stored is the tree of all entries in memory. (A TileHashReader would take the tiles' word for some of it: in this
// version it does not compare every tile with its parent.)
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, index := range indexes {
		if index >= int64(len(s)) {
			return nil, fmt.Errorf("hash %d is not in the tree", index)
		}
		found = append(found, s[index])
	}
	return found, nil
}

func bundle(directory string, number, size int64) [][]byte {
	tile := tlog.Tile{H: 8, L: 0, N: number, W: 256}
	if left := size - number*256; left < 256 {
		tile.W = int(left)
	}
	name := strings.Replace(path(tile), "tile/0/", "tile/entries/", 1)
	data := read(filepath.Join(directory, name))
	var entries [][]byte
	for len(data) >= 2 {
		length := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+length {
			fail("%s: an entry is cut off", name)
		}
		entries = append(entries, data[2:2+length])
		data = data[2+length:]
	}
	if len(data) != 0 || len(entries) != tile.W {
		fail("%s: %d entries instead of %d", name, len(entries), tile.W)
	}
	return entries
}

// entries hashes every entry, and returns the tree if it has the signed root and the tiles on disk.
func entries(directory string, tree tlog.Tree) stored {
	var all stored
	for number := int64(0); number*256 < tree.N; number++ {
		for at, line := range bundle(directory, number, tree.N) {
			more, err := tlog.StoredHashes(number*256+int64(at), line, all)
			if err != nil {
				fail("entry %d: %v", number*256+int64(at), err)
			}
			all = append(all, more...)
		}
	}
	root, err := tlog.TreeHash(tree.N, all)
	if err != nil {
		fail("tree: %v", err)
	}
	if root != tree.Hash {
		fail("the entries do not have the signed root")
	}
	fmt.Printf("entries %d\n", tree.N)
	count := 0
	for level := 0; tree.N>>(8*level) > 0; level++ {
		width := tree.N >> (8 * level)
		for number := int64(0); number*256 < width; number++ {
			tile := tlog.Tile{H: 8, L: level, N: number, W: 256}
			if left := width - number*256; left < 256 {
				tile.W = int(left)
			}
			data, err := tlog.ReadTileData(tile, all)
			if err != nil {
				fail("%s: %v", path(tile), err)
			}
			if !bytes.Equal(data, read(filepath.Join(directory, path(tile)))) {
				fail("%s: not the hashes of the entries", path(tile))
			}
			count++
		}
	}
	fmt.Printf("tiles %d\n", count)
	return all
}

func hashes(name string, lines []string) []tlog.Hash {
	var found []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			fail("%s: %v", name, err)
		}
		found = append(found, hash)
	}
	return found
}

func proof(name string, known note.Verifiers) {
	parts := bytes.SplitN(read(name), []byte("\n\n"), 2)
	lines := strings.Split(string(parts[0]), "\n")
	if len(parts) != 2 || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "extra ") {
		fail("%s: not a proof with its entry", name)
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		fail("%s: %v", name, err)
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		fail("%s: %v", name, err)
	}
	signed, _ := checkpoint(name, parts[1], known)
	err = tlog.CheckRecord(hashes(name, lines[3:]), signed.tree.N, signed.tree.Hash, index, tlog.RecordHash(entry))
	if err != nil {
		fail("%s: %v", name, err)
	}
	fmt.Printf("proof %d of %d\n", index, signed.tree.N)
}

func consistency(name string, now head, known note.Verifiers, reader tlog.HashReader) {
	old, _ := checkpoint(name, read(name), known)
	if old.origin != now.origin {
		fail("%s: another log", name)
	}
	lines := strings.Fields(string(read(strings.TrimSuffix(name, ".checkpoint") + ".consistency")))
	ours := hashes(name, lines)
	if err := tlog.CheckTree(ours, now.tree.N, now.tree.Hash, old.tree.N, old.tree.Hash); err != nil {
		fail("%s: %v", name, err)
	}
	made, err := tlog.ProveTree(now.tree.N, old.tree.N, reader)
	if err != nil {
		fail("%s: %v", name, err)
	}
	if fmt.Sprint(made) != fmt.Sprint(tlog.TreeProof(ours)) {
		fail("%s: the proof has other hashes than Go's", name)
	}
	fmt.Printf("consistency %d to %d\n", old.tree.N, now.tree.N)
}

func main() {
	if len(os.Args) != 3 {
		fail("usage: auditlog VKEYS DIRECTORY")
	}
	directory, known := os.Args[2], verifiers(os.Args[1])
	now, signatures := checkpoint("checkpoint", read(filepath.Join(directory, "checkpoint")), known)
	fmt.Printf("checkpoint %d signed by %d\n", now.tree.N, signatures)
	all := entries(directory, now.tree)
	for _, pattern := range []string{"proofs/*.tlog-proof", "old/*.checkpoint"} {
		names, err := filepath.Glob(filepath.Join(directory, pattern))
		if err != nil {
			fail("%v", err)
		}
		sort.Strings(names)
		for _, name := range names {
			if strings.HasSuffix(name, ".checkpoint") {
				consistency(name, now, known, all)
			} else {
				proof(name, known)
			}
		}
	}
}
