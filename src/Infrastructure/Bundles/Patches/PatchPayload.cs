using System.Buffers;

namespace Starlight.Infrastructure.Bundles.Patches;

/// <summary>What turns old contents into new ones (docs/formats/delta-bundle.md, "Patches"). Always inside a zstd frame, which is what makes it small.</summary>
/// <remarks>
/// <code>
/// bytes   instructions, until everything is covered:
///         varint  copy      bytes that resemble old ones
///         varint  literal   bytes after them that do not; not both 0
///         zigzag  only if copy &gt; 0: shift − last shift of this content in this payload, 0 at first; shift = position in the old content − position in the new one
/// bytes   gaps: varint each, copied bytes that stay as they were, before one that does not
/// bytes   differences: new byte − old byte modulo 256, never 0, one for each gap
/// …       literal bytes
/// </code>
/// Changed addresses in code are a few bytes among equal ones: told apart like this, places, differences and new code each compress better than they would together.
/// </remarks>
internal static class PatchPayload
{
    /// <summary>Null if the payload would be longer than <paramref name="fresh"/>: then it is no use.</summary>
    /// <param name="fresh">The new bytes.</param>
    /// <param name="parts">Whose bytes they are; the lengths add up.</param>
    public static byte[]? Encode(ReadOnlySpan<byte> fresh, IReadOnlyList<FreshPart> parts)
    {
        PayloadWriter instructions = new();
        PayloadWriter gaps = new();
        ArrayBufferWriter<byte> differences = new();
        ArrayBufferWriter<byte> literals = new();
        List<Instruction> found = [];
        int gap = 0;
        (int Copy, int Literal, long Shift)? pending = null;
        foreach (FreshPart part in parts)
        {
            ReadOnlySpan<byte> rest = fresh[..part.Length];
            fresh = fresh[part.Length..];
            found.Clear();
            if (part.Window is { } window)
            {
                Alignment.Find(rest, window.Index, part.Offset - window.Offset, found);
            }
            else
            {
                found.Add(new Instruction(0, part.Length, 0));
            }

            long shift = 0;
            long position = part.Offset;
            foreach (Instruction next in found)
            {
                if (next.Copy > 0)
                {
                    Flush(instructions, pending);
                    long newShift = part.Window!.Offset + next.Base - position;
                    pending = (next.Copy, next.Literal, newShift - shift);
                    shift = newShift;
                    Compare(rest[..next.Copy], part.Window.Index.Content.Span.Slice((int)next.Base, next.Copy), gaps, differences, ref gap);
                }
                else
                {
                    pending = pending is { } last ? last with { Literal = last.Literal + next.Literal } : (0, next.Literal, 0L);
                }

                literals.Write(rest.Slice(next.Copy, next.Literal));
                rest = rest[(next.Copy + next.Literal)..];
                position += next.Copy + next.Literal;
            }
        }

        Flush(instructions, pending);
        PayloadWriter payload = new(instructions.Written.Length + gaps.Written.Length + differences.WrittenCount + literals.WrittenCount + 32);
        payload.Bytes(instructions.Written);
        payload.Bytes(gaps.Written);
        payload.Bytes(differences.WrittenSpan);
        payload.Raw(literals.WrittenSpan);
        return payload.Written.Length <= parts.Sum(p => (long)p.Length) ? payload.Written.ToArray() : null;
    }

    /// <summary>Makes the new bytes. Nothing of the payload is trusted; what it makes is whatever its bytes and the old ones give.</summary>
    /// <param name="payload">Made by <see cref="Encode"/>, or not.</param>
    /// <param name="parts">Whose bytes <paramref name="target"/> takes; the lengths add up to its length.</param>
    /// <param name="target">Filled completely.</param>
    /// <exception cref="FormatException">The payload does not fit the parts.</exception>
    public static void Apply(ReadOnlyMemory<byte> payload, IReadOnlyList<PatchPart> parts, Span<byte> target)
    {
        PayloadReader fields = new(payload);
        PayloadReader instructions = new(fields.Bytes());
        PayloadReader gaps = new(fields.Bytes());
        ReadOnlySpan<byte> differences = fields.Bytes().Span;
        ReadOnlySpan<byte> literals = fields.Raw(fields.Left).Span;
        int part = 0;
        int inPart = 0; // bytes of the part that are made
        long shift = 0;
        long gap = gaps.Left > 0 ? (long)Math.Min(gaps.VarInt(), long.MaxValue) : long.MaxValue;
        while (target.Length > 0)
        {
            int copy = instructions.Count(target.Length, "the length of a copy");
            int literal = instructions.Count(target.Length - copy, "the length of a literal");
            if (copy == 0 && literal == 0)
            {
                throw new FormatException("an instruction of a patch does nothing");
            }

            if (copy > 0)
            {
                Skip(parts, ref part, ref inPart, ref shift);
                PatchPart of = parts[part];
                Int128 position = (Int128)of.Offset + inPart + shift + instructions.LongZigZag();
                if (of.Source is not { } source || copy > of.Length - inPart || position < 0 || position > source.Length - copy)
                {
                    throw new FormatException("a patch copies what is not there");
                }

                shift = (long)position - of.Offset - inPart;
                source.Read((long)position, target[..copy]);
                Correct(target[..copy], ref gaps, ref gap, ref differences);
                inPart += copy;
            }

            if (literal > literals.Length)
            {
                throw new FormatException("a patch has too few literal bytes");
            }

            literals[..literal].CopyTo(target[copy..]);
            literals = literals[literal..];
            target = target[(copy + literal)..];
            Pass(parts, literal, ref part, ref inPart, ref shift);
        }

        instructions.End();
        gaps.End();
        if (differences.Length > 0 || literals.Length > 0 || gap != long.MaxValue)
        {
            throw new FormatException("a patch goes on after its last instruction");
        }
    }

    private static void Flush(PayloadWriter instructions, (int Copy, int Literal, long Shift)? instruction)
    {
        if (instruction is { } last)
        {
            instructions.VarInt(last.Copy);
            instructions.VarInt(last.Literal);
            if (last.Copy > 0)
            {
                instructions.ZigZag(last.Shift);
            }
        }
    }

    private static void Compare(ReadOnlySpan<byte> fresh, ReadOnlySpan<byte> old, PayloadWriter gaps, ArrayBufferWriter<byte> differences, ref int gap)
    {
        while (true)
        {
            int same = fresh.CommonPrefixLength(old);
            gap += same;
            if (same == fresh.Length)
            {
                return;
            }

            gaps.VarInt(gap);
            differences.GetSpan(1)[0] = (byte)(fresh[same] - old[same]);
            differences.Advance(1);
            gap = 0;
            fresh = fresh[(same + 1)..];
            old = old[(same + 1)..];
        }
    }

    /// <summary>Adds the differences that lie in what was copied just now. <paramref name="gap"/> is how many bytes are left before the next one; the largest number if there is none.</summary>
    private static void Correct(Span<byte> copied, ref PayloadReader gaps, ref long gap, ref ReadOnlySpan<byte> differences)
    {
        while (gap < copied.Length)
        {
            if (differences.Length == 0 || differences[0] == 0)
            {
                throw new FormatException("a patch has no difference where one is announced");
            }

            copied[(int)gap] += differences[0];
            differences = differences[1..];
            copied = copied[((int)gap + 1)..];
            gap = gaps.Left > 0 ? (long)Math.Min(gaps.VarInt(), long.MaxValue) : long.MaxValue;
        }

        gap -= gap == long.MaxValue ? 0 : copied.Length;
    }

    /// <summary>Goes over literal bytes, which may belong to several contents.</summary>
    private static void Pass(IReadOnlyList<PatchPart> parts, int length, ref int part, ref int inPart, ref long shift)
    {
        while (length > 0)
        {
            Skip(parts, ref part, ref inPart, ref shift);
            int here = Math.Min(length, parts[part].Length - inPart);
            inPart += here;
            length -= here;
        }
    }

    /// <summary>Leaves a content that is complete.</summary>
    private static void Skip(IReadOnlyList<PatchPart> parts, ref int part, ref int inPart, ref long shift)
    {
        while (inPart == parts[part].Length)
        {
            part++;
            inPart = 0;
            shift = 0;
        }
    }
}
