/* The vector opcode maps: which combinations of W, L, operands and decorations exist (SDM 2 chapters 3 to 5, APM4, APM3 TBM and LWP). */
#include "tables.h"

enum {
    /* W and vector lengths: LL is 128 and 256 bits, L12 256 and 512, LLL all three; without W any W. EVEX: W0 and W1 of all lengths. */
    L0_W0 = V_L0W0, L0_W1 = V_L0W1, L0 = V_L0W0 | V_L0W1, L1_W0 = V_L1W0, L1_W1 = V_L1W1, L1 = V_L1W0 | V_L1W1,
    L2_W0 = V_L2W0, L2 = V_L2W0 | V_L2W1, LL = L0 | L1, LL_W0 = L0_W0 | L1_W0, LL_W1 = L0_W1 | L1_W1, L12 = L1 | L2,
    L12_W1 = V_L1W1 | V_L2W1, LLL = L0 | L1 | L2, W0 = V_W0, W1 = V_W1,

    /* Operands and rules: the flags of tables.h. E: register or memory in ModRM.rm, M: memory only, R: register only. */
    E = V_MEM | V_REG, M = V_MEM, R = V_REG, V = V_VVVV, RV = V_VVVV_REG, I = V_IB, I4 = V_ID, VS = V_VSIB, KR = V_KREG, GR = V_GPR,
    DI = V_DISTINCT, O64 = V_ONLY64, RM0 = V_RM0, SIB = V_SIB, GEN = V_GENERAL,

    /* EVEX: masks, zeroing, broadcast, rounding, and what counts for a displacement of one byte. */
    K = V_MASK, Z = V_ZERO_MEM | V_ZERO_REG, ZR = V_ZERO_REG, BC = V_BCAST, ER = V_ROUND,
    H = TUPLE_HALF * V_TUPLE, QT = TUPLE_QUARTER * V_TUPLE, EI = TUPLE_EIGHTH * V_TUPLE, HW = TUPLE_HALF_W * V_TUPLE,
    DUP = TUPLE_DUP * V_TUPLE, T1 = TUPLE_ELEMENT * V_TUPLE, TG = TUPLE_GENERAL * V_TUPLE, TB = TUPLE_BYTE_WORD * V_TUPLE,
    N1 = TUPLE_1 * V_TUPLE, N2 = TUPLE_2 * V_TUPLE, N4 = TUPLE_4 * V_TUPLE, N8 = TUPLE_8 * V_TUPLE, N16 = TUPLE_16 * V_TUPLE,
    N32 = TUPLE_32 * V_TUPLE,

    /* EVEX, frequent operands: masked, stored masked, with broadcast, with rounding too, scalar; the same of FP16. */
    EK = E | K | Z, EZR = E | K | ZR, EB = EK | BC, EBR = EB | ER, ES = EK | ER | T1,
    EH = EB | V_BCAST16, EHR = EBR | V_BCAST16, ESH = EK | ER | N2,
};

/* Rows by mandatory prefix: none, 66, F3, F2. */
#define ALL4(cell)      { cell, cell, cell, cell }
#define ALL2(cell)      { cell, cell }
#define P66(cell)       { [1] = cell }
#define PS_PD(operands) { W0 | operands, W1 | operands }
#define ARITHMETIC      { W0 | EBR | V, W1 | EBR | V, W0 | ES | V, W1 | ES | V }
#define BY(row)         (V_BY_REG | ROW_##row)

/* Fused multiply and add, without the columns A and B: packed and scalar. */
#define FMA(at, packed, scalar) \
    [(at) + 0x6 ... (at) + 0x8] = P66(packed), [(at) + 0x9] = P66(scalar), [(at) + 0xc] = P66(packed), [(at) + 0xd] = P66(scalar), \
    [(at) + 0xe] = P66(packed), [(at) + 0xf] = P66(scalar)

enum { ROW_VEX_2_49, ROW_VEX_2_49_1, ROW_VEX_1_71, ROW_VEX_1_72, ROW_VEX_1_73, ROW_VEX_1_AE, ROW_VEX_2_F3, ROW_EVEX_1_71, ROW_EVEX_1_72,
       ROW_EVEX_1_73, ROW_EVEX_2_C6, ROW_EVEX_2_C7, ROW_XOP_9_01, ROW_XOP_9_02, ROW_XOP_9_12, ROW_XOP_A_12 };

const uint32_t emul_vector[VECTOR_MAPS][256][4] = {
    [VECTOR_VEX] = { /* VEX: map 0F */
        /* VMOVUPS VMOVUPD VMOVSS VMOVSD VMOVHLPS VMOVLPD VMOVSLDUP VMOVDDUP VMOVLPS VUNPCKLPS VUNPCKLPD VUNPCKHPS VUNPCKHPD VMOVLHPS
         * VMOVHPD VMOVSHDUP VMOVHPS */
        [0x10 ... 0x11] = { LL | E, LL | E, LL | E | RV, LL | E | RV }, [0x12] = { L0 | E | V, L0 | M | V, LL | E, LL | E },
        [0x13] = ALL2(L0 | M), [0x14 ... 0x15] = ALL2(LL | E | V), [0x16] = { L0 | E | V, L0 | M | V, LL | E }, [0x17] = ALL2(L0 | M),
        /* VMOVAPS VMOVAPD VCVTSI2SS VCVTSI2SD VMOVNTPS VMOVNTPD VCVTTSS2SI VCVTTSD2SI VCVTSS2SI VCVTSD2SI VUCOMISS VUCOMISD VCOMISS
         * VCOMISD */
        [0x28 ... 0x29] = ALL2(LL | E), [0x2a] = { [2] = LL | E | V, LL | E | V }, [0x2b] = ALL2(LL | M),
        [0x2c ... 0x2d] = { [2] = LL | E, LL | E }, [0x2e ... 0x2f] = ALL2(LL | E),
        /* KANDQ KANDD KANDNQ KANDND KNOTQ KNOTD KORQ KORD KXNORQ KXNORD KXORQ KXORD KADDQ KADDD KUNPCKDQ KUNPCKBW */
        [0x41 ... 0x42] = ALL2(L1 | R | V | KR), [0x44] = ALL2(L0 | R | KR), [0x45 ... 0x47] = ALL2(L1 | R | V | KR),
        [0x4a] = ALL2(L1 | R | V | KR), [0x4b] = { L1 | R | V | KR, L1_W0 | R | V | KR },
        /* VMOVMSKPS VMOVMSKPD VSQRTPS VSQRTPD VSQRTSS VSQRTSD VRSQRTPS VRSQRTSS VRCPPS VRCPSS VANDPS VANDPD VANDNPS VANDNPD VORPS VORPD
         * VXORPS VXORPD VADDPS VADDPD VADDSS VADDSD VMULPS VMULPD VMULSS VMULSD VCVTPS2PD VCVTPD2PS VCVTSS2SD VCVTSD2SS VCVTDQ2PS
         * VCVTPS2DQ VCVTTPS2DQ VSUBPS VSUBPD VSUBSS VSUBSD VMINPS VMINPD VMINSS VMINSD VDIVPS VDIVPD VDIVSS VDIVSD VMAXPS VMAXPD VMAXSS
         * VMAXSD */
        [0x50] = ALL2(LL | R), [0x51] = { LL | E, LL | E, LL | E | V, LL | E | V }, [0x52 ... 0x53] = { LL | E, 0, LL | E | V },
        [0x54 ... 0x57] = ALL2(LL | E | V), [0x58 ... 0x59] = ALL4(LL | E | V), [0x5a] = { LL | E, LL | E, LL | E | V, LL | E | V },
        [0x5b] = { LL | E, LL | E, LL | E }, [0x5c ... 0x5f] = ALL4(LL | E | V),
        /* VPUNPCKLBW VPUNPCKLWD VPUNPCKLDQ VPACKSSWB VPCMPGTB VPCMPGTW VPCMPGTD VPACKUSWB VPUNPCKHBW VPUNPCKHWD VPUNPCKHDQ VPACKSSDW
         * VPUNPCKLQDQ VPUNPCKHQDQ VMOVD VMOVDQA VMOVDQU */
        [0x60 ... 0x6d] = P66(LL | E | V), [0x6e] = P66(L0 | E), [0x6f] = { 0, LL | E, LL | E },
        /* VPSHUFD VPSHUFHW VPSHUFLW VPCMPEQB VPCMPEQW VPCMPEQD VZEROUPPER VZEROALL VHADDPD VHADDPS VHSUBPD VHSUBPS VMOVQ */
        [0x70] = { 0, LL | E | I, LL | E | I, LL | E | I }, [0x71] = P66(BY(VEX_1_71)), [0x72] = P66(BY(VEX_1_72)),
        [0x73] = P66(BY(VEX_1_73)), [0x74 ... 0x76] = P66(LL | E | V), [0x77] = { LL | V_NO_MODRM },
        [0x7c ... 0x7d] = { 0, LL | E | V, 0, LL | E | V }, [0x7e] = { 0, L0 | E, L0 | E }, [0x7f] = { 0, LL | E, LL | E },
        /* KMOVQ KMOVD KMOVW KMOVB KORTESTQ KORTESTD KTESTQ KTESTD */
        [0x90] = ALL2(L0 | E | KR), [0x91] = ALL2(L0 | M | KR), [0x92] = { L0_W0 | R | KR, L0_W0 | R | KR, 0, L0 | R | KR },
        [0x93] = { L0_W0 | R, L0_W0 | R, 0, L0 | R }, [0x98 ... 0x99] = ALL2(L0 | R | KR),
        [0xae] = { BY(VEX_1_AE) },
        /* VCMPPS VCMPPD VCMPSS VCMPSD VPINSRW VPEXTRW VSHUFPS VSHUFPD */
        [0xc2] = ALL4(LL | E | V | I), [0xc4] = P66(L0 | E | V | I), [0xc5] = P66(L0 | R | I), [0xc6] = ALL2(LL | E | V | I),
        /* VADDSUBPD VADDSUBPS VPSRLW VPSRLD VPSRLQ VPADDQ VPMULLW VPMOVMSKB VPSUBUSB VPSUBUSW VPMINUB VPAND VPADDUSB VPADDUSW VPMAXUB
         * VPANDN VPAVGB VPSRAW VPSRAD VPAVGW VPMULHUW VPMULHW */
        [0xd0] = { 0, LL | E | V, 0, LL | E | V }, [0xd1 ... 0xd5] = P66(LL | E | V), [0xd6] = P66(L0 | E), [0xd7] = P66(LL | R),
        [0xd8 ... 0xdf] = P66(LL | E | V),
        /* VCVTTPD2DQ VCVTDQ2PD VCVTPD2DQ VMOVNTDQ VPSUBSB VPSUBSW VPMINSW VPOR VPADDSB VPADDSW VPMAXSW VPXOR */
        [0xe0 ... 0xe5] = P66(LL | E | V), [0xe6] = { 0, LL | E, LL | E, LL | E }, [0xe7] = P66(LL | M),
        [0xe8 ... 0xef] = P66(LL | E | V),
        /* VLDDQU VPSLLW VPSLLD VPSLLQ VPMULUDQ VPMADDWD VPSADBW VMASKMOVDQU VPSUBB VPSUBW VPSUBD VPSUBQ VPADDB VPADDW VPADDD */
        [0xf0] = { [3] = LL | M }, [0xf1 ... 0xf6] = P66(LL | E | V), [0xf7] = P66(L0 | R), [0xf8 ... 0xfe] = P66(LL | E | V),
    },
    { /* map 0F38 */
        /* VPSHUFB VPHADDW VPHADDD VPHADDSW VPMADDUBSW VPHSUBW VPHSUBD VPHSUBSW VPSIGNB VPSIGNW VPSIGND VPMULHRSW VPERMILPS VPERMILPD
         * VTESTPS VTESTPD */
        [0x00 ... 0x0b] = P66(LL | E | V), [0x0c ... 0x0d] = P66(LL_W0 | E | V), [0x0e ... 0x0f] = P66(LL_W0 | E),
        /* VCVTPH2PS VPERMPS VPTEST VBROADCASTSS VBROADCASTSD VBROADCASTF128 VPABSB VPABSW VPABSD */
        [0x13] = P66(LL_W0 | E), [0x16] = P66(L1_W0 | E | V), [0x17] = P66(LL | E), [0x18] = P66(LL_W0 | E), [0x19] = P66(L1_W0 | E),
        [0x1a] = P66(L1_W0 | M), [0x1c ... 0x1e] = P66(LL | E),
        /* VPMOVSXBW VPMOVSXBD VPMOVSXBQ VPMOVSXWD VPMOVSXWQ VPMOVSXDQ VPMULDQ VPCMPEQQ VMOVNTDQA VPACKUSDW VMASKMOVPS VMASKMOVPD */
        [0x20 ... 0x25] = P66(LL | E), [0x28 ... 0x29] = P66(LL | E | V), [0x2a] = P66(LL | M), [0x2b] = P66(LL | E | V),
        [0x2c ... 0x2f] = P66(LL_W0 | M | V),
        /* VPMOVZXBW VPMOVZXBD VPMOVZXBQ VPMOVZXWD VPMOVZXWQ VPMOVZXDQ VPERMD VPCMPGTQ VPMINSB VPMINSD VPMINUW VPMINUD VPMAXSB VPMAXSD
         * VPMAXUW VPMAXUD VPMULLD */
        [0x30 ... 0x35] = P66(LL | E), [0x36] = P66(L1_W0 | E | V), [0x37 ... 0x3f] = P66(LL | E | V),
        /* VPHMINPOSUW VPSRLVQ VPSRAVD VPSLLVQ LDTILECFG TILERELEASE STTILECFG TILEZERO */
        [0x40] = P66(LL | E | V), [0x41] = P66(L0 | E), [0x45] = P66(LL | E | V), [0x46] = P66(LL_W0 | E | V), [0x47] = P66(LL | E | V),
        [0x49] = { BY(VEX_2_49), BY(VEX_2_49_1), 0, L0_W0 | R | KR | RM0 | O64 },
        [0x4b] = { 0, L0_W0 | M | KR | SIB | O64, L0_W0 | M | KR | SIB | O64, L0_W0 | M | KR | SIB | O64 },
        /* TILELOADDT1 TILESTORED TILELOADD VPDPBUUD(S) VPDPBUSD(S) VPDPBSUD(S) VPDPBSSD(S) VPDPWSSD VPDPWSSDS VPBROADCASTD
         * VPBROADCASTQ VBROADCASTI128 TDPBF16PS TDPBUUD TDPBUSD TDPBSUD TDPBSSD */
        [0x50 ... 0x51] = ALL4(LL_W0 | E | V), [0x52 ... 0x53] = P66(LL_W0 | E | V), [0x58 ... 0x59] = P66(LL_W0 | E),
        [0x5a] = P66(L1_W0 | M), [0x5c] = { [2] = L0_W0 | R | V | KR | DI | O64 }, [0x5e] = ALL4(L0_W0 | R | V | KR | DI | O64),
        /* VCVTNEPS2BF16 VPBROADCASTB VPBROADCASTW VPMASKMOVQ */
        [0x72] = { [2] = LL_W0 | E }, [0x78 ... 0x79] = P66(LL_W0 | E), [0x8c] = P66(LL | M | V), [0x8e] = P66(LL | M | V),
        /* VPGATHERDQ VPGATHERQQ VGATHERDPD VGATHERQPD VFMADDSUB132PD VFMSUBADD132PD VFMADD132PD VFMADD132SD VFMSUB132PD VFMSUB132SD
         * VFNMADD132PD VFNMADD132SD VFNMSUB132PD VFNMSUB132SD */
        [0x90 ... 0x93] = P66(LL | M | V | VS), [0x96 ... 0x9f] = P66(LL | E | V),
        /* VFMADDSUB213PD VFMSUBADD213PD VFMADD213PD VFMADD213SD VFMSUB213PD VFMSUB213SD VFNMADD213PD VFNMADD213SD VFNMSUB213PD
         * VFNMSUB213SD */
        [0xa6 ... 0xaf] = P66(LL | E | V),
        /* VCVTNEOPH2PS VCVTNEEPH2PS VCVTNEEBF162PS VCVTNEOBF162PS VBCSTNESH2PS VBCSTNEBF162PS VPMADD52LUQ VPMADD52HUQ VFMADDSUB231PD
         * VFMSUBADD231PD VFMADD231PD VFMADD231SD VFMSUB231PD VFMSUB231SD VFNMADD231PD VFNMADD231SD VFNMSUB231PD VFNMSUB231SD */
        [0xb0] = ALL4(LL_W0 | M), [0xb1] = { 0, LL_W0 | M, LL_W0 | M }, [0xb4 ... 0xb5] = P66(LL_W1 | E | V),
        [0xb6 ... 0xbf] = P66(LL | E | V),
        /* VSHA512RNDS2 VSHA512MSG1 VSHA512MSG2 VGF2P8MULB */
        [0xcb] = { [3] = L1_W0 | R | V }, [0xcc ... 0xcd] = { [3] = L1_W0 | R }, [0xcf] = P66(LL_W0 | E | V),
        /* VPDPWUUD VPDPWUSD VPDPWSUD VSM3MSG1 VSM3MSG2 VSM4KEY4 VSM4RNDS4 VAESIMC VAESENC VAESENCLAST VAESDEC VAESDECLAST */
        [0xd2 ... 0xd3] = { LL_W0 | E | V, LL_W0 | E | V, LL_W0 | E | V },
        [0xda] = { L0_W0 | E | V, L0_W0 | E | V, LL_W0 | E | V, LL_W0 | E | V }, [0xdb] = P66(L0 | E), [0xdc ... 0xdf] = P66(LL | E | V),
        /* ANDN BZHI PEXT PDEP MULX BEXTR SHLX SARX SHRX */
        [0xf2] = { L0 | E | V | GEN }, [0xf3] = { BY(VEX_2_F3) }, [0xf5] = { L0 | E | V | GEN, 0, L0 | E | V | GEN, L0 | E | V | GEN },
        [0xf6] = { [3] = L0 | E | V | GEN }, [0xf7] = ALL4(L0 | E | V | GEN),
    },
    { /* map 0F3A */
        /* VPERMQ VPERMPD VPBLENDD VPERMILPS VPERMILPD VPERM2F128 VROUNDPS VROUNDPD VROUNDSS VROUNDSD VBLENDPS VBLENDPD VPBLENDW VPALIGNR
         * */
        [0x00 ... 0x01] = P66(L1_W1 | E | I), [0x02] = P66(LL_W0 | E | V | I), [0x04 ... 0x05] = P66(LL_W0 | E | I),
        [0x06] = P66(L1_W0 | E | V | I), [0x08 ... 0x09] = P66(LL | E | I), [0x0a ... 0x0f] = P66(LL | E | V | I),
        /* VPEXTRB VPEXTRW VPEXTRD VEXTRACTPS VINSERTF128 VEXTRACTF128 VCVTPS2PH */
        [0x14 ... 0x17] = P66(L0 | E | I), [0x18] = P66(L1_W0 | E | V | I), [0x19] = P66(L1_W0 | E | I), [0x1d] = P66(LL_W0 | E | I),
        /* VPINSRB VINSERTPS VPINSRD */
        [0x20 ... 0x22] = P66(L0 | E | V | I),
        /* KSHIFTRW KSHIFTRQ KSHIFTLW KSHIFTLQ VINSERTI128 VEXTRACTI128 */
        [0x30 ... 0x33] = P66(L0 | R | I | KR), [0x38] = P66(L1_W0 | E | V | I), [0x39] = P66(L1_W0 | E | I),
        /* VDPPS VDPPD VMPSADBW VPCLMULQDQ VPERM2I128 VPERMIL2PS VPERMIL2PD VBLENDVPS VBLENDVPD VPBLENDVB */
        [0x40] = P66(LL | E | V | I), [0x41] = P66(L0 | E | V | I), [0x42] = P66(LL | E | V | I), [0x44] = P66(LL | E | V | I),
        [0x46] = P66(L1_W0 | E | V | I), [0x48 ... 0x49] = P66(LL | E | V | I), [0x4a ... 0x4c] = P66(LL_W0 | E | V | I),
        /* VFMADDSUBPS VFMADDSUBPD VFMSUBADDPS VFMSUBADDPD */
        [0x5c ... 0x5f] = P66(LL | E | V | I),
        /* VPCMPESTRM VPCMPESTRI VPCMPISTRM VPCMPISTRI VFMADDPS VFMADDPD VFMADDSS VFMADDSD VFMSUBPS VFMSUBPD VFMSUBSS VFMSUBSD */
        [0x60 ... 0x63] = P66(L0 | E | I), [0x68 ... 0x6f] = P66(LL | E | V | I),
        /* VFNMADDPS VFNMADDPD VFNMADDSS VFNMADDSD VFNMSUBPS VFNMSUBPD VFNMSUBSS VFNMSUBSD VGF2P8AFFINEQB VGF2P8AFFINEINVQB */
        [0x78 ... 0x7f] = P66(LL | E | V | I), [0xce ... 0xcf] = P66(LL_W1 | E | V | I),
        /* VSM3RNDS2 VAESKEYGENASSIST RORX */
        [0xde] = P66(L0_W0 | E | V | I), [0xdf] = P66(L0 | E | I), [0xf0] = { [3] = L0 | E | I | GEN },
    },
    [VECTOR_EVEX] = { /* EVEX: map 0F */
        /* VMOVUPS VMOVUPD VMOVSS VMOVSD VMOVHLPS VMOVLPD VMOVSLDUP VMOVDDUP VMOVLPS VUNPCKLPS VUNPCKLPD VUNPCKHPS VUNPCKHPD VMOVLHPS
         * VMOVHPD VMOVSHDUP VMOVHPS */
        [0x10] = { W0 | EK, W1 | EK, W0 | EK | RV | T1, W1 | EK | RV | T1 },
        [0x11] = { W0 | EZR, W1 | EZR, W0 | EZR | RV | T1, W1 | EZR | RV | T1 },
        [0x12] = { L0_W0 | E | V | N8, L0_W1 | M | V | N8, W0 | EK, W1 | EK | DUP }, [0x13] = { L0_W0 | M | N8, L0_W1 | M | N8 },
        [0x14 ... 0x15] = PS_PD(EB | V), [0x16] = { L0_W0 | E | V | N8, L0_W1 | M | V | N8, W0 | EK },
        [0x17] = { L0_W0 | M | N8, L0_W1 | M | N8 },
        /* VMOVAPS VMOVAPD VCVTSI2SS VCVTSI2SD VMOVNTPS VMOVNTPD VCVTTSS2SI VCVTTSD2SI VCVTSS2SI VCVTSD2SI VUCOMISS VUCOMISD VCOMISS
         * VCOMISD */
        [0x28] = PS_PD(EK), [0x29] = PS_PD(EZR), [0x2a] = { [2] = LLL | E | V | ER | TG, LLL | E | V | ER | TG }, [0x2b] = PS_PD(M),
        [0x2c ... 0x2d] = { [2] = LLL | E | ER | GR | N4, LLL | E | ER | GR | N8 }, [0x2e ... 0x2f] = PS_PD(E | ER | T1),
        /* VSQRTPS VSQRTPD VSQRTSS VSQRTSD VANDPS VANDPD VANDNPS VANDNPD VORPS VORPD VXORPS VXORPD VADDPS VADDPD VADDSS VADDSD VMULPS
         * VMULPD VMULSS VMULSD VCVTPS2PD VCVTPD2PS VCVTSS2SD VCVTSD2SS VCVTQQ2PS VCVTPS2DQ VCVTTPS2DQ VSUBPS VSUBPD VSUBSS VSUBSD VMINPS
         * VMINPD VMINSS VMINSD VDIVPS VDIVPD VDIVSS VDIVSD VMAXPS VMAXPD VMAXSS VMAXSD */
        [0x51] = { W0 | EBR, W1 | EBR, W0 | ES | V, W1 | ES | V }, [0x54 ... 0x57] = PS_PD(EB | V), [0x58 ... 0x59] = ARITHMETIC,
        [0x5a] = { W0 | EBR | H, W1 | EBR, W0 | ES | V, W1 | ES | V }, [0x5b] = { LLL | EBR, W0 | EBR, W0 | EBR },
        [0x5c ... 0x5f] = ARITHMETIC,
        /* VPUNPCKLBW VPUNPCKLWD VPUNPCKLDQ VPACKSSWB VPCMPGTB VPCMPGTW VPCMPGTD VPACKUSWB VPUNPCKHBW VPUNPCKHWD VPUNPCKHDQ VPACKSSDW
         * VPUNPCKLQDQ VPUNPCKHQDQ VMOVD VMOVDQA64 VMOVDQU64 VMOVDQU16 */
        [0x60 ... 0x61] = P66(LLL | EK | V), [0x62] = P66(W0 | EB | V), [0x63] = P66(LLL | EK | V),
        [0x64 ... 0x65] = P66(LLL | E | V | K | KR), [0x66] = P66(W0 | E | V | K | BC | KR), [0x67 ... 0x69] = P66(LLL | EK | V),
        [0x6a ... 0x6b] = P66(W0 | EB | V), [0x6c ... 0x6d] = P66(W1 | EB | V), [0x6e] = P66(L0 | E | TG),
        [0x6f] = { 0, LLL | EK, LLL | EK, LLL | EK },
        /* VPSHUFD VPSHUFHW VPSHUFLW VPCMPEQB VPCMPEQW VPCMPEQD VCVTTPD2UDQ VCVTTPD2UQQ VCVTTSS2USI VCVTTSD2USI VCVTPD2UDQ VCVTPD2UQQ
         * VCVTSS2USI VCVTSD2USI VCVTTPD2QQ VCVTUQQ2PD VCVTUQQ2PS VCVTPD2QQ VCVTUSI2SS VCVTUSI2SD VMOVQ */
        [0x70] = { 0, W0 | EB | I, LLL | EK | I, LLL | EK | I }, [0x71] = P66(BY(EVEX_1_71)), [0x72] = P66(BY(EVEX_1_72)),
        [0x73] = P66(BY(EVEX_1_73)), [0x74 ... 0x75] = P66(LLL | E | V | K | KR), [0x76] = P66(W0 | E | V | K | BC | KR),
        [0x78 ... 0x79] = { LLL | EBR, LLL | EBR | HW, LLL | E | ER | GR | N4, LLL | E | ER | GR | N8 },
        [0x7a] = { 0, LLL | EBR | HW, LLL | EBR | HW, LLL | EBR },
        [0x7b] = { 0, LLL | EBR | HW, LLL | E | V | ER | TG, LLL | E | V | ER | TG }, [0x7e] = { 0, L0 | E | TG, L0_W1 | E | N8 },
        [0x7f] = { 0, LLL | EZR, LLL | EZR, LLL | EZR },
        /* VCMPPS VCMPPD VCMPSS VCMPSD VPINSRW VPEXTRW VSHUFPS VSHUFPD */
        [0xc2] = { W0 | E | V | I | K | BC | ER | KR, W1 | E | V | I | K | BC | ER | KR,
          W0 | E | V | I | K | ER | KR | T1, W1 | E | V | I | K | ER | KR | T1 }, [0xc4] = P66(L0 | E | V | I | N2),
        [0xc5] = P66(L0 | R | I | GR), [0xc6] = PS_PD(EB | V | I),
        /* VPSRLW VPSRLD VPSRLQ VPADDQ VPMULLW VPSUBUSB VPSUBUSW VPMINUB VPANDQ VPADDUSB VPADDUSW VPMAXUB VPANDNQ */
        [0xd1] = P66(LLL | EK | V | N16), [0xd2] = P66(W0 | EK | V | N16), [0xd3] = P66(W1 | EK | V | N16), [0xd4] = P66(W1 | EB | V),
        [0xd5] = P66(LLL | EK | V), [0xd6] = P66(L0_W1 | E | N8), [0xd8 ... 0xda] = P66(LLL | EK | V), [0xdb] = P66(LLL | EB | V),
        [0xdc ... 0xde] = P66(LLL | EK | V), [0xdf] = P66(LLL | EB | V),
        /* VPAVGB VPSRAW VPSRAQ VPAVGW VPMULHUW VPMULHW VCVTTPD2DQ VCVTQQ2PD VCVTPD2DQ VMOVNTDQ VPSUBSB VPSUBSW VPMINSW VPORQ VPADDSB
         * VPADDSW VPMAXSW VPXORQ */
        [0xe0] = P66(LLL | EK | V), [0xe1 ... 0xe2] = P66(LLL | EK | V | N16), [0xe3 ... 0xe5] = P66(LLL | EK | V),
        [0xe6] = { 0, W1 | EBR, LLL | EBR | HW, W1 | EBR }, [0xe7] = P66(W0 | M), [0xe8 ... 0xea] = P66(LLL | EK | V),
        [0xeb] = P66(LLL | EB | V), [0xec ... 0xee] = P66(LLL | EK | V), [0xef] = P66(LLL | EB | V),
        /* VPSLLW VPSLLD VPSLLQ VPMULUDQ VPMADDWD VPSADBW VPSUBB VPSUBW VPSUBD VPSUBQ VPADDB VPADDW VPADDD */
        [0xf1] = P66(LLL | EK | V | N16), [0xf2] = P66(W0 | EK | V | N16), [0xf3] = P66(W1 | EK | V | N16), [0xf4] = P66(W1 | EB | V),
        [0xf5] = P66(LLL | EK | V), [0xf6] = P66(LLL | E | V), [0xf8 ... 0xf9] = P66(LLL | EK | V), [0xfa] = P66(W0 | EB | V),
        [0xfb] = P66(W1 | EB | V), [0xfc ... 0xfd] = P66(LLL | EK | V), [0xfe] = P66(W0 | EB | V),
    },
    { /* map 0F38 */
        /* VPSHUFB VPMADDUBSW VPMULHRSW VPERMILPS VPERMILPD */
        [0x00] = P66(LLL | EK | V), [0x04] = P66(LLL | EK | V), [0x0b] = P66(LLL | EK | V), [0x0c] = P66(W0 | EB | V),
        [0x0d] = P66(W1 | EB | V),
        /* VPSRLVW VPMOVUSWB VPSRAVW VPMOVUSDB VPSLLVW VPMOVUSQB VCVTPH2PS VPMOVUSDW VPRORVQ VPMOVUSQW VPROLVQ VPMOVUSQD VPERMPD
         * VBROADCASTSS VBROADCASTSD VBROADCASTF64X2 VBROADCASTF64X4 VPABSB VPABSW VPABSD VPABSQ */
        [0x10] = { 0, W1 | EK | V, W0 | EZR | H }, [0x11] = { 0, W1 | EK | V, W0 | EZR | QT },
        [0x12] = { 0, W1 | EK | V, W0 | EZR | EI }, [0x13] = { 0, W0 | EK | ER | H, W0 | EZR | H },
        [0x14] = { 0, LLL | EB | V, W0 | EZR | QT }, [0x15] = { 0, LLL | EB | V, W0 | EZR | H }, [0x16] = P66(L12 | EB | V),
        [0x18] = P66(W0 | EK | T1), [0x19] = P66(L12 | EK | N8), [0x1a] = P66(L12 | M | K | Z | N16), [0x1b] = P66(L2 | M | K | Z | N32),
        [0x1c ... 0x1d] = P66(LLL | EK), [0x1e] = P66(W0 | EB), [0x1f] = P66(W1 | EB),
        /* VPMOVSXBW VPMOVSWB VPMOVSXBD VPMOVSDB VPMOVSXBQ VPMOVSQB VPMOVSXWD VPMOVSDW VPMOVSXWQ VPMOVSQW VPMOVSXDQ VPMOVSQD VPTESTMW
         * VPTESTNMW VPTESTMQ VPTESTNMQ VPMULDQ VPMOVM2W VPCMPEQQ VPMOVW2M VMOVNTDQA VPBROADCASTMB2Q VPACKUSDW VSCALEFPD VSCALEFSD */
        [0x20] = { 0, LLL | EK | H, W0 | EZR | H }, [0x21] = { 0, LLL | EK | QT, W0 | EZR | QT },
        [0x22] = { 0, LLL | EK | EI, W0 | EZR | EI }, [0x23] = { 0, LLL | EK | H, W0 | EZR | H },
        [0x24] = { 0, LLL | EK | QT, W0 | EZR | QT }, [0x25] = { 0, W0 | EK | H, W0 | EZR | H },
        [0x26] = { 0, LLL | E | V | K | KR, LLL | E | V | K | KR }, [0x27] = { 0, LLL | E | V | K | BC | KR, LLL | E | V | K | BC | KR },
        [0x28] = { 0, W1 | EB | V, LLL | R }, [0x29] = { 0, W1 | E | V | K | BC | KR, LLL | R | KR }, [0x2a] = { 0, W0 | M, W1 | R },
        [0x2b] = P66(W0 | EB | V), [0x2c] = P66(LLL | EBR | V), [0x2d] = P66(LLL | ES | V),
        /* VPMOVZXBW VPMOVWB VPMOVZXBD VPMOVDB VPMOVZXBQ VPMOVQB VPMOVZXWD VPMOVDW VPMOVZXWQ VPMOVQW VPMOVZXDQ VPMOVQD VPERMQ VPCMPGTQ
         * VPMINSB VPMOVM2Q VPMINSQ VPMOVQ2M VPMINUW VPBROADCASTMW2D VPMINUQ VPMAXSB VPMAXSQ VPMAXUW VPMAXUQ VPMULLQ */
        [0x30] = { 0, LLL | EK | H, W0 | EZR | H }, [0x31] = { 0, LLL | EK | QT, W0 | EZR | QT },
        [0x32] = { 0, LLL | EK | EI, W0 | EZR | EI }, [0x33] = { 0, LLL | EK | H, W0 | EZR | H },
        [0x34] = { 0, LLL | EK | QT, W0 | EZR | QT }, [0x35] = { 0, W0 | EK | H, W0 | EZR | H }, [0x36] = P66(L12 | EB | V),
        [0x37] = P66(W1 | E | V | K | BC | KR), [0x38] = { 0, LLL | EK | V, LLL | R }, [0x39] = { 0, LLL | EB | V, LLL | R | KR },
        [0x3a] = { 0, LLL | EK | V, W0 | R }, [0x3b] = P66(LLL | EB | V), [0x3c] = P66(LLL | EK | V), [0x3d] = P66(LLL | EB | V),
        [0x3e] = P66(LLL | EK | V), [0x3f] = P66(LLL | EB | V),
        /* VGETEXPPD VGETEXPSD VPLZCNTQ VPSRLVQ VPSRAVQ VPSLLVQ VRCP14PD VRCP14SD VRSQRT14PD VRSQRT14SD */
        [0x40] = P66(LLL | EB | V), [0x42] = P66(LLL | EBR), [0x43] = P66(LLL | ES | V), [0x44] = P66(LLL | EB),
        [0x45 ... 0x47] = P66(LLL | EB | V), [0x4c] = P66(LLL | EB), [0x4d] = P66(LLL | EK | V | T1), [0x4e] = P66(LLL | EB),
        [0x4f] = P66(LLL | EK | V | T1),
        /* VPDPBUSD VPDPBUSDS VPDPWSSD VDPBF16PS VP4DPWSSD VPDPWSSDS VP4DPWSSDS VPOPCNTW VPOPCNTQ VPBROADCASTD VPBROADCASTQ
         * VBROADCASTI64X2 VBROADCASTI64X4 */
        [0x50 ... 0x51] = P66(W0 | EB | V), [0x52] = { 0, W0 | EB | V, W0 | EB | V, L2_W0 | M | V | K | Z | N16 },
        [0x53] = { 0, W0 | EB | V, 0, L2_W0 | M | V | K | Z | N16 }, [0x54] = P66(LLL | EK), [0x55] = P66(LLL | EB),
        [0x58] = P66(W0 | EK | T1), [0x59] = P66(LLL | EK | N8), [0x5a] = P66(L12 | M | K | Z | N16), [0x5b] = P66(L2 | M | K | Z | N32),
        /* VPEXPANDW VPCOMPRESSW VPBLENDMQ VBLENDMPD VPBLENDMW VP2INTERSECTQ */
        [0x62] = P66(LLL | EK | TB), [0x63] = P66(LLL | EZR | TB), [0x64 ... 0x65] = P66(LLL | EB | V), [0x66] = P66(LLL | EK | V),
        [0x68] = { [3] = LLL | E | V | BC | KR },
        /* VPSHLDVW VPSHLDVQ VPSHRDVW VCVTNEPS2BF16 VCVTNE2PS2BF16 VPSHRDVQ VPERMI2W VPERMI2Q VPERMI2PD VPBROADCASTB VPBROADCASTW
         * VPERMT2W VPERMT2Q VPERMT2PD */
        [0x70] = P66(W1 | EK | V), [0x71] = P66(LLL | EB | V), [0x72] = { 0, W1 | EK | V, W0 | EB, W0 | EB | V },
        [0x73] = P66(LLL | EB | V), [0x75] = P66(LLL | EK | V), [0x76 ... 0x77] = P66(LLL | EB | V), [0x78] = P66(W0 | EK | TB),
        [0x79] = P66(W0 | EK | N2), [0x7a ... 0x7b] = P66(W0 | R | K | ZR), [0x7c] = P66(LLL | R | K | ZR), [0x7d] = P66(LLL | EK | V),
        [0x7e ... 0x7f] = P66(LLL | EB | V),
        /* VPMULTISHIFTQB VEXPANDPD VPEXPANDQ VCOMPRESSPD VPCOMPRESSQ VPERMW VPSHUFBITQMB */
        [0x83] = P66(W1 | EB | V), [0x88 ... 0x89] = P66(LLL | EK | T1), [0x8a ... 0x8b] = P66(LLL | EZR | T1),
        [0x8d] = P66(LLL | EK | V), [0x8f] = P66(W0 | E | V | K | KR),
        /* VPGATHERDQ VPGATHERQQ VGATHERDPD VGATHERQPD VFMADDSUB132PD VFMSUBADD132PD VFMADD132PD VFMADD132SD VFMSUB132PD V4FMADDPS
         * VFMSUB132SD V4FMADDSS VFNMADD132PD VFNMADD132SD VFNMSUB132PD VFNMSUB132SD */
        [0x90 ... 0x93] = P66(LLL | M | VS | K | T1), FMA(0x90, LLL | EBR | V, LLL | ES | V),
        [0x9a] = { 0, LLL | EBR | V, 0, L2_W0 | M | V | K | Z | N16 }, [0x9b] = { 0, LLL | ES | V, 0, W0 | M | V | K | Z | N16 },
        /* VPSCATTERDQ VPSCATTERQQ VSCATTERDPD VSCATTERQPD VFMADDSUB213PD VFMSUBADD213PD VFMADD213PD VFMADD213SD VFMSUB213PD V4FNMADDPS
         * VFMSUB213SD V4FNMADDSS VFNMADD213PD VFNMADD213SD VFNMSUB213PD VFNMSUB213SD */
        [0xa0 ... 0xa3] = P66(LLL | M | VS | K | T1), FMA(0xa0, LLL | EBR | V, LLL | ES | V),
        [0xaa] = { 0, LLL | EBR | V, 0, L2_W0 | M | V | K | Z | N16 }, [0xab] = { 0, LLL | ES | V, 0, W0 | M | V | K | Z | N16 },
        /* VPMADD52LUQ VPMADD52HUQ VFMADDSUB231PD VFMSUBADD231PD VFMADD231PD VFMADD231SD VFMSUB231PD VFMSUB231SD VFNMADD231PD
         * VFNMADD231SD VFNMSUB231PD VFNMSUB231SD */
        [0xb4 ... 0xb5] = P66(W1 | EB | V), FMA(0xb0, LLL | EBR | V, LLL | ES | V), [0xba] = P66(LLL | EBR | V),
        [0xbb] = P66(LLL | ES | V),
        /* VPCONFLICTQ VEXP2PD VRCP28PD VRCP28SD VRSQRT28PD VRSQRT28SD VGF2P8MULB */
        [0xc4] = P66(LLL | EB), [0xc6] = P66(BY(EVEX_2_C6)), [0xc7] = P66(BY(EVEX_2_C7)), [0xc8] = P66(L2 | EBR), [0xca] = P66(L2 | EBR),
        [0xcb] = P66(LLL | ES | V), [0xcc] = P66(L2 | EBR), [0xcd] = P66(LLL | ES | V), [0xcf] = P66(W0 | EK | V),
        /* VAESENC VAESENCLAST VAESDEC VAESDECLAST */
        [0xdc ... 0xdf] = P66(LLL | E | V),
    },
    { /* map 0F3A */
        /* VPERMQ VPERMPD VALIGNQ VPERMILPS VPERMILPD VRNDSCALEPH VRNDSCALEPS VRNDSCALEPD VRNDSCALESH VRNDSCALESS VRNDSCALESD VPALIGNR */
        [0x00 ... 0x01] = P66(L12_W1 | EB | I), [0x03] = P66(LLL | EB | V | I), [0x04] = P66(W0 | EB | I), [0x05] = P66(W1 | EB | I),
        [0x08] = { W0 | EHR | I, W0 | EBR | I }, [0x09] = P66(W1 | EBR | I), [0x0a] = { W0 | ESH | V | I, W0 | ES | V | I },
        [0x0b] = P66(W1 | ES | V | I), [0x0f] = P66(LLL | EK | V | I),
        /* VPEXTRB VPEXTRW VPEXTRD VEXTRACTPS VINSERTF64X2 VEXTRACTF64X2 VINSERTF64X4 VEXTRACTF64X4 VCVTPS2PH VPCMPUQ VPCMPQ */
        [0x14] = P66(L0 | E | I | N1), [0x15] = P66(L0 | E | I | N2), [0x16] = P66(L0 | E | I | TG), [0x17] = P66(L0 | E | I | N4),
        [0x18] = P66(L12 | EK | V | I | N16), [0x19] = P66(L12 | EZR | I | N16), [0x1a] = P66(L2 | EK | V | I | N32),
        [0x1b] = P66(L2 | EZR | I | N32), [0x1d] = P66(W0 | EZR | I | ER | H), [0x1e ... 0x1f] = P66(LLL | E | V | I | K | BC | KR),
        /* VPINSRB VINSERTPS VPINSRD VSHUFF64X2 VPTERNLOGQ VGETMANTPH VGETMANTPD VGETMANTSH VGETMANTSD */
        [0x20] = P66(L0 | E | V | I | N1), [0x21] = P66(L0_W0 | E | V | I | N4), [0x22] = P66(L0 | E | V | I | TG),
        [0x23] = P66(L12 | EB | V | I), [0x25] = P66(LLL | EB | V | I), [0x26] = { W0 | EHR | I, LLL | EBR | I },
        [0x27] = { W0 | ESH | V | I, LLL | ES | V | I },
        /* VINSERTI64X2 VEXTRACTI64X2 VINSERTI64X4 VEXTRACTI64X4 VPCMPUW VPCMPW */
        [0x38] = P66(L12 | EK | V | I | N16), [0x39] = P66(L12 | EZR | I | N16), [0x3a] = P66(L2 | EK | V | I | N32),
        [0x3b] = P66(L2 | EZR | I | N32), [0x3e ... 0x3f] = P66(LLL | E | V | I | K | KR),
        /* VDBPSADBW VSHUFI64X2 VPCLMULQDQ */
        [0x42] = P66(W0 | EK | V | I), [0x43] = P66(L12 | EB | V | I), [0x44] = P66(LLL | E | V | I),
        /* VRANGEPD VRANGESD VFIXUPIMMPD VFIXUPIMMSD VREDUCEPH VREDUCEPD VREDUCESH VREDUCESD */
        [0x50] = P66(LLL | EBR | V | I), [0x51] = P66(LLL | ES | V | I), [0x54] = P66(LLL | EBR | V | I), [0x55] = P66(LLL | ES | V | I),
        [0x56] = { W0 | EHR | I, LLL | EBR | I }, [0x57] = { W0 | ESH | V | I, LLL | ES | V | I },
        /* VFPCLASSPH VFPCLASSPD VFPCLASSSH VFPCLASSSD */
        [0x66] = { W0 | E | I | K | BC | KR | V_BCAST16, LLL | E | I | K | BC | KR },
        [0x67] = { W0 | E | I | K | KR | N2, LLL | E | I | K | KR | T1 },
        /* VPSHLDW VPSHLDQ VPSHRDW VPSHRDQ */
        [0x70] = P66(W1 | EK | V | I), [0x71] = P66(LLL | EB | V | I), [0x72] = P66(W1 | EK | V | I), [0x73] = P66(LLL | EB | V | I),
        /* VCMPPH VCMPSH VGF2P8AFFINEQB VGF2P8AFFINEINVQB */
        [0xc2] = { W0 | E | V | I | K | BC | ER | KR | V_BCAST16, 0, W0 | E | V | I | K | ER | KR | N2 },
        [0xce ... 0xcf] = P66(W1 | EB | V | I),
    },
    { /* map 5 */
        /* VMOVSH VCVTSS2SH VCVTPS2PHX */
        [0x10] = { [2] = W0 | EK | RV | N2 }, [0x11] = { [2] = W0 | EZR | RV | N2 }, [0x1d] = { W0 | ES | V, W0 | EBR },
        /* VCVTSI2SH VCVTTSH2SI VCVTSH2SI VUCOMISH VCOMISH */
        [0x2a] = { [2] = LLL | E | V | ER | TG }, [0x2c ... 0x2d] = { [2] = LLL | E | ER | GR | N2 },
        [0x2e ... 0x2f] = { W0 | E | ER | N2 },
        /* VSQRTPH VSQRTSH VADDPH VADDSH VMULPH VMULSH VCVTPH2PD VCVTPD2PH VCVTSH2SD VCVTSD2SH VCVTQQ2PH VCVTPH2DQ VCVTTPH2DQ VSUBPH
         * VSUBSH VMINPH VMINSH VDIVPH VDIVSH VMAXPH VMAXSH */
        [0x51] = { W0 | EHR, 0, W0 | ESH | V }, [0x58 ... 0x59] = { W0 | EHR | V, 0, W0 | ESH | V },
        [0x5a] = { W0 | EHR | QT, W1 | EBR, W0 | ESH | V, W1 | ES | V }, [0x5b] = { LLL | EBR, W0 | EHR | H, W0 | EHR | H },
        [0x5c ... 0x5f] = { W0 | EHR | V, 0, W0 | ESH | V },
        /* VMOVW */
        [0x6e] = P66(L0 | E | N2),
        /* VCVTTPH2UDQ VCVTTPH2UQQ VCVTTSH2USI VCVTPH2UDQ VCVTPH2UQQ VCVTSH2USI VCVTTPH2QQ VCVTUQQ2PH VCVTPH2QQ VCVTUSI2SH VCVTTPH2UW
         * VCVTTPH2W VCVTPH2UW VCVTPH2W VCVTW2PH VCVTUW2PH */
        [0x78 ... 0x79] = { W0 | EHR | H, W0 | EHR | QT, LLL | E | ER | GR | N2 }, [0x7a] = { 0, W0 | EHR | QT, 0, LLL | EBR },
        [0x7b] = { 0, W0 | EHR | QT, LLL | E | V | ER | TG }, [0x7c] = ALL2(W0 | EHR), [0x7d] = ALL4(W0 | EHR),
        [0x7e] = P66(L0 | E | N2),
    },
    { /* map 6 */
        /* VCVTSH2SS VCVTPH2PSX VSCALEFPH VSCALEFSH */
        [0x13] = { W0 | ESH | V, W0 | EHR | H }, [0x2c] = P66(W0 | EHR | V), [0x2d] = P66(W0 | ESH | V),
        /* VGETEXPPH VGETEXPSH VRCPPH VRCPSH VRSQRTPH VRSQRTSH */
        [0x42] = P66(W0 | EHR), [0x43] = P66(W0 | ESH | V), [0x4c] = P66(W0 | EH), [0x4d] = P66(W0 | EK | V | N2), [0x4e] = P66(W0 | EH),
        [0x4f] = P66(W0 | EK | V | N2),
        /* VFMADDCPH VFCMADDCPH VFMADDCSH VFCMADDCSH */
        [0x56] = { [2] = W0 | EBR | V | DI, W0 | EBR | V | DI }, [0x57] = { [2] = W0 | ES | V | DI, W0 | ES | V | DI },
        /* VFMADDSUB132PH VFMSUBADD132PH VFMADD132PH VFMADD132SH VFMSUB132PH VFMSUB132SH VFNMADD132PH VFNMADD132SH VFNMSUB132PH
         * VFNMSUB132SH */
        FMA(0x90, W0 | EHR | V, W0 | ESH | V), [0x9a] = P66(W0 | EHR | V), [0x9b] = P66(W0 | ESH | V),
        /* VFMADDSUB213PH VFMSUBADD213PH VFMADD213PH VFMADD213SH VFMSUB213PH VFMSUB213SH VFNMADD213PH VFNMADD213SH VFNMSUB213PH
         * VFNMSUB213SH */
        FMA(0xa0, W0 | EHR | V, W0 | ESH | V), [0xaa] = P66(W0 | EHR | V), [0xab] = P66(W0 | ESH | V),
        /* VFMADDSUB231PH VFMSUBADD231PH VFMADD231PH VFMADD231SH VFMSUB231PH VFMSUB231SH VFNMADD231PH VFNMADD231SH VFNMSUB231PH
         * VFNMSUB231SH */
        FMA(0xb0, W0 | EHR | V, W0 | ESH | V), [0xba] = P66(W0 | EHR | V), [0xbb] = P66(W0 | ESH | V),
        /* VFMULCPH VFCMULCPH VFMULCSH VFCMULCSH */
        [0xd6] = { [2] = W0 | EBR | V | DI, W0 | EBR | V | DI }, [0xd7] = { [2] = W0 | ES | V | DI, W0 | ES | V | DI },
    },
    [VECTOR_XOP] = { /* XOP: map 8 */
        /* VPMACSSWW VPMACSSWD VPMACSSDQL VPMACSSDD VPMACSSDQH */
        [0x85 ... 0x87] = { L0_W0 | E | V | I }, [0x8e ... 0x8f] = { L0_W0 | E | V | I },
        /* VPMACSWW VPMACSWD VPMACSDQL VPMACSDD VPMACSDQH */
        [0x95 ... 0x97] = { L0_W0 | E | V | I }, [0x9e ... 0x9f] = { L0_W0 | E | V | I },
        /* VPCMOV VPPERM VPMADCSSWD VPMADCSWD */
        [0xa2] = { LL | E | V | I }, [0xa3] = { L0 | E | V | I }, [0xa6] = { L0_W0 | E | V | I }, [0xb6] = { L0_W0 | E | V | I },
        /* VPROTB VPROTW VPROTD VPROTQ VPCOMB VPCOMW VPCOMD VPCOMQ VPCOMUB VPCOMUW VPCOMUD VPCOMUQ */
        [0xc0 ... 0xc3] = { L0_W0 | E | I }, [0xcc ... 0xcf] = { L0_W0 | E | V | I }, [0xec ... 0xef] = { L0_W0 | E | V | I },
    },
    { /* map 9 */
        [0x01] = { BY(XOP_9_01) }, [0x02] = { BY(XOP_9_02) }, [0x12] = { BY(XOP_9_12) },
        /* VFRCZPS VFRCZPD VFRCZSS VFRCZSD VPROTB VPROTW VPROTD VPROTQ VPSHLB VPSHLW VPSHLD VPSHLQ VPSHAB VPSHAW VPSHAD VPSHAQ */
        [0x80 ... 0x81] = { LL_W0 | E }, [0x82 ... 0x83] = { L0_W0 | E }, [0x90 ... 0x9b] = { L0 | E | V },
        /* VPHADDBW VPHADDBD VPHADDBQ VPHADDWD VPHADDWQ VPHADDDQ */
        [0xc1 ... 0xc3] = { L0_W0 | E }, [0xc6 ... 0xc7] = { L0_W0 | E }, [0xcb] = { L0_W0 | E },
        /* VPHADDUBW VPHADDUBD VPHADDUBQ VPHADDUWD VPHADDUWQ VPHADDUDQ VPHSUBBW VPHSUBWD VPHSUBDQ */
        [0xd1 ... 0xd3] = { L0_W0 | E }, [0xd6 ... 0xd7] = { L0_W0 | E }, [0xdb] = { L0_W0 | E }, [0xe1 ... 0xe3] = { L0_W0 | E },
    },
    { /* map A */
        /* BEXTR */
        [0x10] = { L0 | E | I4 }, [0x12] = { BY(XOP_A_12) },
    },
};

const uint32_t emul_vector_reg[V_ROWS][8] = {
    /* LDTILECFG TILERELEASE */
    [ROW_VEX_2_49] = { L0_W0 | E | RM0 | O64 },
    /* STTILECFG */
    [ROW_VEX_2_49_1] = { L0_W0 | M | O64 },
    /* VPSRLW VPSRAW VPSLLW */
    [ROW_VEX_1_71] = { [2] = LL | R | V | I, [4] = LL | R | V | I, [6] = LL | R | V | I },
    /* VPSRLD VPSRAD VPSLLD */
    [ROW_VEX_1_72] = { [2] = LL | R | V | I, [4] = LL | R | V | I, [6] = LL | R | V | I },
    /* VPSRLQ VPSRLDQ VPSLLQ VPSLLDQ */
    [ROW_VEX_1_73] = { [2] = LL | R | V | I, LL | R | V | I, [6] = LL | R | V | I, LL | R | V | I },
    /* VLDMXCSR VSTMXCSR */
    [ROW_VEX_1_AE] = { [2] = L0 | M, L0 | M },
    /* BLSR BLSMSK BLSI */
    [ROW_VEX_2_F3] = { [1] = L0 | E | V | GEN, L0 | E | V | GEN, L0 | E | V | GEN },
    /* VPSRLW VPSRAW VPSLLW */
    [ROW_EVEX_1_71] = { [2] = LLL | EK | V | I, [4] = LLL | EK | V | I, [6] = LLL | EK | V | I },
    /* VPRORQ VPROLQ VPSRLD VPSRAQ VPSLLD */
    [ROW_EVEX_1_72] = { LLL | EB | V | I, LLL | EB | V | I, W0 | EB | V | I, [4] = LLL | EB | V | I, [6] = W0 | EB | V | I },
    /* VPSRLQ VPSRLDQ VPSLLQ VPSLLDQ */
    [ROW_EVEX_1_73] = { [2] = W1 | EB | V | I, LLL | E | V | I, [6] = W1 | EB | V | I, LLL | E | V | I },
    /* VGATHERPF0DPD VGATHERPF1DPD VSCATTERPF0DPD VSCATTERPF1DPD */
    [ROW_EVEX_2_C6] = { [1] = L2 | M | VS | K | T1, L2 | M | VS | K | T1, [5] = L2 | M | VS | K | T1, L2 | M | VS | K | T1 },
    /* VGATHERPF0QPD VGATHERPF1QPD VSCATTERPF0QPD VSCATTERPF1QPD */
    [ROW_EVEX_2_C7] = { [1] = L2 | M | VS | K | T1, L2 | M | VS | K | T1, [5] = L2 | M | VS | K | T1, L2 | M | VS | K | T1 },
    /* BLCFILL BLSFILL BLCS TZMSK BLCIC BLSIC T1MSKC */
    [ROW_XOP_9_01] = { [1] = L0 | E | V, L0 | E | V, L0 | E | V, L0 | E | V, L0 | E | V, L0 | E | V, L0 | E | V },
    /* BLCMSK BLCI */
    [ROW_XOP_9_02] = { [1] = L0 | E | V, [6] = L0 | E | V },
    /* LLWPCB SLWPCB */
    [ROW_XOP_9_12] = { L0 | R, L0 | R },
    /* LWPINS LWPVAL */
    [ROW_XOP_A_12] = { L0 | E | V | I4, L0 | E | V | I4 },
};

/* SDM 2A tables 2-34 and 2-35: the scale as a shift, for W0 and W1 and 128, 256 and 512 bits. */
const uint8_t emul_disp8[TUPLES_END][2][4] = {
    [TUPLE_FULL]      = { { 4, 5, 6 }, { 4, 5, 6 } }, [TUPLE_HALF]   = { { 3, 4, 5 }, { 3, 4, 5 } },
    [TUPLE_QUARTER]   = { { 2, 3, 4 }, { 2, 3, 4 } }, [TUPLE_EIGHTH] = { { 1, 2, 3 }, { 1, 2, 3 } },
    [TUPLE_HALF_W]    = { { 3, 4, 5 }, { 4, 5, 6 } }, [TUPLE_DUP]    = { { 3, 5, 6 }, { 3, 5, 6 } },
    [TUPLE_ELEMENT]   = { { 2, 2, 2 }, { 3, 3, 3 } }, [TUPLE_GENERAL] = { { 2, 2, 2 }, { 3, 3, 3 } },
    [TUPLE_BYTE_WORD] = { { 0, 0, 0 }, { 1, 1, 1 } }, [TUPLE_1]      = { { 0, 0, 0 }, { 0, 0, 0 } },
    [TUPLE_2]         = { { 1, 1, 1 }, { 1, 1, 1 } }, [TUPLE_4]      = { { 2, 2, 2 }, { 2, 2, 2 } },
    [TUPLE_8]         = { { 3, 3, 3 }, { 3, 3, 3 } }, [TUPLE_16]     = { { 4, 4, 4 }, { 4, 4, 4 } },
    [TUPLE_32]        = { { 5, 5, 5 }, { 5, 5, 5 } },
};

#define B(op, form) { EMUL_##op, FORM_##form }
const struct emul_general emul_vex_general[8][4] = {
    [0] = { [3] = B(RORX, Gy_Ey_Ib) },
    [2] = { B(ANDN, Gy_By_Ey) },
    [3] = { [1] = B(BLSR, By_Ey), B(BLSMSK, By_Ey), B(BLSI, By_Ey) },
    [5] = { B(BZHI, Gy_Ey_By), [2] = B(PEXT, Gy_By_Ey), B(PDEP, Gy_By_Ey) },
    [6] = { [3] = B(MULX, Gy_By_Ey) },
    [7] = { B(BEXTR, Gy_Ey_By), B(SHLX, Gy_Ey_By), B(SARX, Gy_Ey_By), B(SHRX, Gy_Ey_By) },
};
