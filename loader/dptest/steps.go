package dptest

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// The program of a Bed with Options.Steps counts the instructions that it executes: into each basic block, which is
// executed from its first instruction to its last or not at all, is put a count of it. That needs two registers, which
// hold nothing that is read later, or next to always: so the program does what it always does, with hardly more stack.

// stepsMap is the name of the map with a count for each block.
const stepsMap = "steps"

// countSteps puts the counts into a program, and the map for them into its collection. It returns how many instructions
// each block has.
func countSteps(spec *ebpf.CollectionSpec, program string) (lengths []uint64, err error) {
	code, err := analyse(spec.Programs[program].Instructions)
	if err != nil {
		return nil, err
	}
	before := map[int]asm.Instructions{}
	for n, b := range code.blocks {
		at, two, free := code.room(b)
		if free < 0 {
			return nil, fmt.Errorf("count steps: there is no room in the block of instructions %d to %d", b.first, b.end)
		}
		lengths = append(lengths, uint64(b.end-b.first))
		before[at] = countOne(uint32(8*n), two, free, (code.stackOf(at)+7)&^7+16)
	}
	if spec.Programs[program].Instructions, err = code.with(before); err != nil {
		return nil, err
	}
	spec.Maps[stepsMap] = &ebpf.MapSpec{
		Name: stepsMap, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(8 * len(lengths)), MaxEntries: 1,
	}
	return lengths, nil
}

// countOne counts at an offset of the map's value, by two registers of which so many are free; the others are
// saved on the stack meanwhile.
func countOne(offset uint32, two [2]asm.Register, free int, stack int16) (insns asm.Instructions) {
	for i := free; i < len(two); i++ {
		insns = append(insns, asm.StoreMem(asm.RFP, -stack+int16(8*(i-free)), two[i], asm.DWord))
	}
	insns = append(insns,
		asm.LoadMapValue(two[0], 0, offset).WithReference(stepsMap),
		asm.Mov.Imm(two[1], 1),
		asm.AddAtomic.Mem(two[0], two[1], asm.DWord, 0),
	)
	for i := free; i < len(two); i++ {
		insns = append(insns, asm.LoadMem(two[i], asm.RFP, -stack+int16(8*(i-free)), asm.DWord))
	}
	return insns
}

// Steps returns how many instructions the program has executed since the last call.
func (b *Bed) Steps() (executed uint64) {
	var raw []byte
	b.lookup(stepsMap, uint32(0), &raw)
	for n, length := range b.steps {
		executed += length * binary.NativeEndian.Uint64(raw[8*n:])
	}
	b.update(stepsMap, uint32(0), make([]byte, len(raw)))
	return executed
}

// Size is how large the program is as the kernel has it: after the verifier has taken out what constants switch off.
type Size struct {
	Instructions int
	Bytes        uint32 // of machine code
}

// Size reads it.
func (b *Bed) Size() (size Size) {
	info, err := b.coll.Programs["headgate"].Info()
	must(err)
	translated, err := info.TranslatedSize()
	must(err)
	size.Instructions = translated / asm.InstructionSize
	size.Bytes, err = info.JitedSize()
	must(err)
	return size
}
