//! Where a JSON string ends, sixteen bytes at a time.

/// How many bytes of a string in JSON stand before the first quote, backslash or control character: 32 if there is none.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn find_string_end(chunk: &[u8; 32]) -> usize {
    use std::arch::x86_64::*;
    // SAFETY: SSE2 is a part of x86-64; twice sixteen bytes are read from thirty-two.
    let stops = |half: usize| unsafe {
        let bytes = _mm_loadu_si128(chunk.as_ptr().add(16 * half).cast());
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control)) as u32
    };
    (stops(0) | stops(1) << 16).trailing_zeros() as usize
}

/// The same for processors of other kinds.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn find_string_end(chunk: &[u8; 32]) -> usize {
    let is_stop = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    chunk.iter().position(is_stop).unwrap_or(chunk.len())
}
