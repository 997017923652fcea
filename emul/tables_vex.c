/* The vector opcode maps: which combinations of W, L, operands and decorations exist (SDM 2 chapters 3 to 5, APM4, APM3 TBM and LWP). */
#include "tables.h"

/* W and vector lengths: LLL is 128, 256 and 512 bits, LL is 128 and 256, L12 is 256 and 512; without W any W. */
#define L0_W0   V_L0W0
#define L0_W1   V_L0W1
#define L1_W0   V_L1W0
#define L1_W1   V_L1W1
#define L2_W0   V_L2W0
#define L2_W1   V_L2W1
#define L0      (L0_W0 | L0_W1)
#define L1      (L1_W0 | L1_W1)
#define L2      (L2_W0 | L2_W1)
#define LL      (L0 | L1)
#define LL_W0   (L0_W0 | L1_W0)
#define LL_W1   (L0_W1 | L1_W1)
#define L12     (L1 | L2)
#define L12_W0  (L1_W0 | L2_W0)
#define L12_W1  (L1_W1 | L2_W1)
#define LLL     (L0 | L1 | L2)
#define LLL_W0  (L0_W0 | L1_W0 | L2_W0)
#define LLL_W1  (L0_W1 | L1_W1 | L2_W1)

/* Operands. E: register or memory in ModRM.rm, M: memory only, R: register only. */
#define E       (V_MEM | V_REG)
#define M       V_MEM
#define R       V_REG
#define V       V_VVVV
#define RV      V_VVVV_REG
#define I       V_IB
#define I4      V_ID
#define VS      V_VSIB
#define K       V_MASK
#define Z       (V_ZERO_MEM | V_ZERO_REG)
#define ZR      V_ZERO_REG
#define BC      V_BCAST
#define ER      V_ROUND
#define KR      V_KREG
#define GR      V_GPR
#define DI      V_DISTINCT
#define O64     V_ONLY64
#define RM0     V_RM0
#define SIB     V_SIB
#define GEN     V_GENERAL
#define ALL4(cell) { cell, cell, cell, cell }
#define BY(row) (V_BY_REG | ROW_##row)

enum { ROW_VEX_2_49, ROW_VEX_2_49_1, ROW_VEX_1_71, ROW_VEX_1_72, ROW_VEX_1_73, ROW_VEX_1_AE, ROW_VEX_2_F3, ROW_EVEX_1_71,
    ROW_EVEX_1_72, ROW_EVEX_1_73,
       ROW_EVEX_2_C6, ROW_EVEX_2_C7, ROW_XOP_9_01, ROW_XOP_9_02, ROW_XOP_9_12, ROW_XOP_A_12 };

const uint32_t emul_vex[3][256][4] = {
    { /* map 0F */
        [0x10 ... 0x11] = { LL | E, LL | E, LL | E | RV, LL | E | RV }, /* VMOVUPS VMOVUPD VMOVSS VMOVSD */
        [0x12] = { L0 | E | V, L0 | M | V, LL | E, LL | E }, /* VMOVHLPS VMOVLPD VMOVSLDUP VMOVDDUP */
        [0x13] = { L0 | M, L0 | M }, /* VMOVLPS VMOVLPD */
        [0x14 ... 0x15] = { LL | E | V, LL | E | V }, /* VUNPCKLPS VUNPCKLPD VUNPCKHPS VUNPCKHPD */
        [0x16] = { L0 | E | V, L0 | M | V, LL | E }, /* VMOVLHPS VMOVHPD VMOVSHDUP */
        [0x17] = { L0 | M, L0 | M }, /* VMOVHPS VMOVHPD */
        [0x28 ... 0x29] = { LL | E, LL | E }, /* VMOVAPS VMOVAPD */
        [0x2a] = { 0, 0, LL | E | V, LL | E | V }, /* VCVTSI2SS VCVTSI2SD */
        [0x2b] = { LL | M, LL | M }, /* VMOVNTPS VMOVNTPD */
        [0x2c ... 0x2d] = { 0, 0, LL | E, LL | E }, /* VCVTTSS2SI VCVTTSD2SI VCVTSS2SI VCVTSD2SI */
        [0x2e ... 0x2f] = { LL | E, LL | E }, /* VUCOMISS VUCOMISD VCOMISS VCOMISD */
        [0x41 ... 0x42] = { L1 | R | V | KR, L1 | R | V | KR }, /* KANDQ KANDD KANDNQ KANDND */
        [0x44] = { L0 | R | KR, L0 | R | KR }, /* KNOTQ KNOTD */
        [0x45 ... 0x47] = { L1 | R | V | KR, L1 | R | V | KR }, /* KORQ KORD KXNORQ KXNORD KXORQ KXORD */
        [0x4a] = { L1 | R | V | KR, L1 | R | V | KR }, /* KADDQ KADDD */
        [0x4b] = { L1 | R | V | KR, L1_W0 | R | V | KR }, /* KUNPCKDQ KUNPCKBW */
        [0x50] = { LL | R, LL | R }, /* VMOVMSKPS VMOVMSKPD */
        [0x51] = { LL | E, LL | E, LL | E | V, LL | E | V }, /* VSQRTPS VSQRTPD VSQRTSS VSQRTSD */
        [0x52 ... 0x53] = { LL | E, 0, LL | E | V }, /* VRSQRTPS VRSQRTSS VRCPPS VRCPSS */
        [0x54 ... 0x57] = { LL | E | V, LL | E | V }, /* VANDPS VANDPD VANDNPS VANDNPD VORPS VORPD VXORPS VXORPD */
        [0x58 ... 0x59] = ALL4(LL | E | V), /* VADDPS VADDPD VADDSS VADDSD VMULPS VMULPD VMULSS VMULSD */
        [0x5a] = { LL | E, LL | E, LL | E | V, LL | E | V }, /* VCVTPS2PD VCVTPD2PS VCVTSS2SD VCVTSD2SS */
        [0x5b] = { LL | E, LL | E, LL | E }, /* VCVTDQ2PS VCVTPS2DQ VCVTTPS2DQ */
        /* VSUBPS VSUBPD VSUBSS VSUBSD VMINPS VMINPD VMINSS VMINSD VDIVPS VDIVPD VDIVSS VDIVSD VMAXPS VMAXPD VMAXSS VMAXSD */
        [0x5c ... 0x5f] = ALL4(LL | E | V),
        /* VPUNPCKLBW VPUNPCKLWD VPUNPCKLDQ VPACKSSWB VPCMPGTB VPCMPGTW VPCMPGTD VPACKUSWB VPUNPCKHBW VPUNPCKHWD VPUNPCKHDQ VPACKSSDW
         * VPUNPCKLQDQ VPUNPCKHQDQ */
        [0x60 ... 0x6d] = { [1] = LL | E | V },
        [0x6e] = { [1] = L0 | E }, /* VMOVD */
        [0x6f] = { 0, LL | E, LL | E }, /* VMOVDQA VMOVDQU */
        [0x70] = { 0, LL | E | I, LL | E | I, LL | E | I }, /* VPSHUFD VPSHUFHW VPSHUFLW */
        [0x71] = { [1] = BY(VEX_1_71) }, /* group */
        [0x72] = { [1] = BY(VEX_1_72) }, /* group */
        [0x73] = { [1] = BY(VEX_1_73) }, /* group */
        [0x74 ... 0x76] = { [1] = LL | E | V }, /* VPCMPEQB VPCMPEQW VPCMPEQD */
        [0x77] = { LL | V_NO_MODRM }, /* VZEROUPPER VZEROALL */
        [0x7c ... 0x7d] = { 0, LL | E | V, 0, LL | E | V }, /* VHADDPD VHADDPS VHSUBPD VHSUBPS */
        [0x7e] = { 0, L0 | E, L0 | E }, /* VMOVD VMOVQ */
        [0x7f] = { 0, LL | E, LL | E }, /* VMOVDQA VMOVDQU */
        [0x90] = { L0 | E | KR, L0 | E | KR }, /* KMOVQ KMOVD */
        [0x91] = { L0 | M | KR, L0 | M | KR }, /* KMOVQ KMOVD */
        [0x92] = { L0_W0 | R | KR, L0_W0 | R | KR, 0, L0 | R | KR }, /* KMOVW KMOVB KMOVD */
        [0x93] = { L0_W0 | R, L0_W0 | R, 0, L0 | R }, /* KMOVW KMOVB KMOVD */
        [0x98 ... 0x99] = { L0 | R | KR, L0 | R | KR }, /* KORTESTQ KORTESTD KTESTQ KTESTD */
        [0xae] = { BY(VEX_1_AE) }, /* group */
        [0xc2] = ALL4(LL | E | V | I), /* VCMPPS VCMPPD VCMPSS VCMPSD */
        [0xc4] = { [1] = L0 | E | V | I }, /* VPINSRW */
        [0xc5] = { [1] = L0 | R | I }, /* VPEXTRW */
        [0xc6] = { LL | E | V | I, LL | E | V | I }, /* VSHUFPS VSHUFPD */
        [0xd0] = { 0, LL | E | V, 0, LL | E | V }, /* VADDSUBPD VADDSUBPS */
        [0xd1 ... 0xd5] = { [1] = LL | E | V }, /* VPSRLW VPSRLD VPSRLQ VPADDQ VPMULLW */
        [0xd6] = { [1] = L0 | E }, /* VMOVQ */
        [0xd7] = { [1] = LL | R }, /* VPMOVMSKB */
        /* VPSUBUSB VPSUBUSW VPMINUB VPAND VPADDUSB VPADDUSW VPMAXUB VPANDN VPAVGB VPSRAW VPSRAD VPAVGW VPMULHUW VPMULHW */
        [0xd8 ... 0xe5] = { [1] = LL | E | V },
        [0xe6] = { 0, LL | E, LL | E, LL | E }, /* VCVTTPD2DQ VCVTDQ2PD VCVTPD2DQ */
        [0xe7] = { [1] = LL | M }, /* VMOVNTDQ */
        [0xe8 ... 0xef] = { [1] = LL | E | V }, /* VPSUBSB VPSUBSW VPMINSW VPOR VPADDSB VPADDSW VPMAXSW VPXOR */
        [0xf0] = { [3] = LL | M }, /* VLDDQU */
        [0xf1 ... 0xf6] = { [1] = LL | E | V }, /* VPSLLW VPSLLD VPSLLQ VPMULUDQ VPMADDWD VPSADBW */
        [0xf7] = { [1] = L0 | R }, /* VMASKMOVDQU */
        [0xf8 ... 0xfe] = { [1] = LL | E | V }, /* VPSUBB VPSUBW VPSUBD VPSUBQ VPADDB VPADDW VPADDD */
    },
    { /* map 0F38 */
        /* VPSHUFB VPHADDW VPHADDD VPHADDSW VPMADDUBSW VPHSUBW VPHSUBD VPHSUBSW VPSIGNB VPSIGNW VPSIGND VPMULHRSW */
        [0x00 ... 0x0b] = { [1] = LL | E | V },
        [0x0c ... 0x0d] = { [1] = LL_W0 | E | V }, /* VPERMILPS VPERMILPD */
        [0x0e ... 0x0f] = { [1] = LL_W0 | E }, /* VTESTPS VTESTPD */
        [0x13] = { [1] = LL_W0 | E }, /* VCVTPH2PS */
        [0x16] = { [1] = L1_W0 | E | V }, /* VPERMPS */
        [0x17] = { [1] = LL | E }, /* VPTEST */
        [0x18] = { [1] = LL_W0 | E }, /* VBROADCASTSS */
        [0x19] = { [1] = L1_W0 | E }, /* VBROADCASTSD */
        [0x1a] = { [1] = L1_W0 | M }, /* VBROADCASTF128 */
        [0x1c ... 0x1e] = { [1] = LL | E }, /* VPABSB VPABSW VPABSD */
        [0x20 ... 0x25] = { [1] = LL | E }, /* VPMOVSXBW VPMOVSXBD VPMOVSXBQ VPMOVSXWD VPMOVSXWQ VPMOVSXDQ */
        [0x28 ... 0x29] = { [1] = LL | E | V }, /* VPMULDQ VPCMPEQQ */
        [0x2a] = { [1] = LL | M }, /* VMOVNTDQA */
        [0x2b] = { [1] = LL | E | V }, /* VPACKUSDW */
        [0x2c ... 0x2f] = { [1] = LL_W0 | M | V }, /* VMASKMOVPS VMASKMOVPD */
        [0x30 ... 0x35] = { [1] = LL | E }, /* VPMOVZXBW VPMOVZXBD VPMOVZXBQ VPMOVZXWD VPMOVZXWQ VPMOVZXDQ */
        [0x36] = { [1] = L1_W0 | E | V }, /* VPERMD */
        [0x37 ... 0x40] = { [1] = LL | E | V }, /* VPCMPGTQ VPMINSB VPMINSD VPMINUW VPMINUD VPMAXSB VPMAXSD VPMAXUW VPMAXUD VPMULLD */
        [0x41] = { [1] = L0 | E }, /* VPHMINPOSUW */
        [0x45] = { [1] = LL | E | V }, /* VPSRLVQ */
        [0x46] = { [1] = LL_W0 | E | V }, /* VPSRAVD */
        [0x47] = { [1] = LL | E | V }, /* VPSLLVQ */
        [0x49] = { BY(VEX_2_49), BY(VEX_2_49_1), 0, L0_W0 | R | KR | RM0 | O64 }, /* LDTILECFG TILERELEASE STTILECFG TILEZERO */
        [0x4b] = { 0, L0_W0 | M | KR | SIB | O64, L0_W0 | M | KR | SIB | O64, L0_W0 | M | KR | SIB | O64 },
        /* TILELOADDT1 TILESTORED TILELOADD */
        [0x50 ... 0x51] = ALL4(LL_W0 | E | V), /* VPDPBUUD VPDPBUSD VPDPBSUD VPDPBSSD, with S: saturating */
        [0x52 ... 0x53] = { [1] = LL_W0 | E | V }, /* VPDPWSSD VPDPWSSDS */
        [0x58 ... 0x59] = { [1] = LL_W0 | E }, /* VPBROADCASTD VPBROADCASTQ */
        [0x5a] = { [1] = L1_W0 | M }, /* VBROADCASTI128 */
        [0x5c] = { [2] = L0_W0 | R | V | KR | DI | O64 }, /* TDPBF16PS */
        [0x5e] = ALL4(L0_W0 | R | V | KR | DI | O64), /* TDPBUUD TDPBUSD TDPBSUD TDPBSSD */
        [0x72] = { [2] = LL_W0 | E }, /* VCVTNEPS2BF16 */
        [0x78 ... 0x79] = { [1] = LL_W0 | E }, /* VPBROADCASTB VPBROADCASTW */
        [0x8c] = { [1] = LL | M | V }, /* VPMASKMOVQ */
        [0x8e] = { [1] = LL | M | V }, /* VPMASKMOVQ */
        [0x90 ... 0x93] = { [1] = LL | M | V | VS }, /* VPGATHERDQ VPGATHERQQ VGATHERDPD VGATHERQPD */
        /* VFMADDSUB132PD VFMSUBADD132PD VFMADD132PD VFMADD132SD VFMSUB132PD VFMSUB132SD VFNMADD132PD VFNMADD132SD VFNMSUB132PD
         * VFNMSUB132SD */
        [0x96 ... 0x9f] = { [1] = LL | E | V },
        /* VFMADDSUB213PD VFMSUBADD213PD VFMADD213PD VFMADD213SD VFMSUB213PD VFMSUB213SD VFNMADD213PD VFNMADD213SD VFNMSUB213PD
         * VFNMSUB213SD */
        [0xa6 ... 0xaf] = { [1] = LL | E | V },
        [0xb0] = ALL4(LL_W0 | M), /* VCVTNEOPH2PS VCVTNEEPH2PS VCVTNEEBF162PS VCVTNEOBF162PS */
        [0xb1] = { 0, LL_W0 | M, LL_W0 | M }, /* VBCSTNESH2PS VBCSTNEBF162PS */
        [0xb4 ... 0xb5] = { [1] = LL_W1 | E | V }, /* VPMADD52LUQ VPMADD52HUQ */
        /* VFMADDSUB231PD VFMSUBADD231PD VFMADD231PD VFMADD231SD VFMSUB231PD VFMSUB231SD VFNMADD231PD VFNMADD231SD VFNMSUB231PD
         * VFNMSUB231SD */
        [0xb6 ... 0xbf] = { [1] = LL | E | V },
        [0xcb] = { [3] = L1_W0 | R | V }, /* VSHA512RNDS2 */
        [0xcc ... 0xcd] = { [3] = L1_W0 | R }, /* VSHA512MSG1 VSHA512MSG2 */
        [0xcf] = { [1] = LL_W0 | E | V }, /* VGF2P8MULB */
        [0xd2 ... 0xd3] = { LL_W0 | E | V, LL_W0 | E | V, LL_W0 | E | V }, /* VPDPWUUD VPDPWUSD VPDPWSUD, with S: saturating */
        [0xda] = { L0_W0 | E | V, L0_W0 | E | V, LL_W0 | E | V, LL_W0 | E | V }, /* VSM3MSG1 VSM3MSG2 VSM4KEY4 VSM4RNDS4 */
        [0xdb] = { [1] = L0 | E }, /* VAESIMC */
        [0xdc ... 0xdf] = { [1] = LL | E | V }, /* VAESENC VAESENCLAST VAESDEC VAESDECLAST */
        [0xf2] = { L0 | E | V | GEN }, /* ANDN */
        [0xf3] = { BY(VEX_2_F3) }, /* group */
        [0xf5] = { L0 | E | V | GEN, 0, L0 | E | V | GEN, L0 | E | V | GEN }, /* BZHI PEXT PDEP */
        [0xf6] = { [3] = L0 | E | V | GEN }, /* MULX */
        [0xf7] = ALL4(L0 | E | V | GEN), /* BEXTR SHLX SARX SHRX */
    },
    { /* map 0F3A */
        [0x00 ... 0x01] = { [1] = L1_W1 | E | I }, /* VPERMQ VPERMPD */
        [0x02] = { [1] = LL_W0 | E | V | I }, /* VPBLENDD */
        [0x04 ... 0x05] = { [1] = LL_W0 | E | I }, /* VPERMILPS VPERMILPD */
        [0x06] = { [1] = L1_W0 | E | V | I }, /* VPERM2F128 */
        [0x08 ... 0x09] = { [1] = LL | E | I }, /* VROUNDPS VROUNDPD */
        [0x0a ... 0x0f] = { [1] = LL | E | V | I }, /* VROUNDSS VROUNDSD VBLENDPS VBLENDPD VPBLENDW VPALIGNR */
        [0x14 ... 0x17] = { [1] = L0 | E | I }, /* VPEXTRB VPEXTRW VPEXTRD VEXTRACTPS */
        [0x18] = { [1] = L1_W0 | E | V | I }, /* VINSERTF128 */
        [0x19] = { [1] = L1_W0 | E | I }, /* VEXTRACTF128 */
        [0x1d] = { [1] = LL_W0 | E | I }, /* VCVTPS2PH */
        [0x20 ... 0x22] = { [1] = L0 | E | V | I }, /* VPINSRB VINSERTPS VPINSRD */
        [0x30 ... 0x33] = { [1] = L0 | R | I | KR }, /* KSHIFTRW KSHIFTRQ KSHIFTLW KSHIFTLQ */
        [0x38] = { [1] = L1_W0 | E | V | I }, /* VINSERTI128 */
        [0x39] = { [1] = L1_W0 | E | I }, /* VEXTRACTI128 */
        [0x40] = { [1] = LL | E | V | I }, /* VDPPS */
        [0x41] = { [1] = L0 | E | V | I }, /* VDPPD */
        [0x42] = { [1] = LL | E | V | I }, /* VMPSADBW */
        [0x44] = { [1] = LL | E | V | I }, /* VPCLMULQDQ */
        [0x46] = { [1] = L1_W0 | E | V | I }, /* VPERM2I128 */
        [0x48 ... 0x49] = { [1] = LL | E | V | I }, /* VPERMIL2PS VPERMIL2PD */
        [0x4a ... 0x4c] = { [1] = LL_W0 | E | V | I }, /* VBLENDVPS VBLENDVPD VPBLENDVB */
        [0x5c ... 0x5f] = { [1] = LL | E | V | I }, /* VFMADDSUBPS VFMADDSUBPD VFMSUBADDPS VFMSUBADDPD */
        [0x60 ... 0x63] = { [1] = L0 | E | I }, /* VPCMPESTRM VPCMPESTRI VPCMPISTRM VPCMPISTRI */
        [0x68 ... 0x6f] = { [1] = LL | E | V | I }, /* VFMADDPS VFMADDPD VFMADDSS VFMADDSD VFMSUBPS VFMSUBPD VFMSUBSS VFMSUBSD */
        [0x78 ... 0x7f] = { [1] = LL | E | V | I }, /* VFNMADDPS VFNMADDPD VFNMADDSS VFNMADDSD VFNMSUBPS VFNMSUBPD VFNMSUBSS VFNMSUBSD */
        [0xce ... 0xcf] = { [1] = LL_W1 | E | V | I }, /* VGF2P8AFFINEQB VGF2P8AFFINEINVQB */
        [0xde] = { [1] = L0_W0 | E | V | I }, /* VSM3RNDS2 */
        [0xdf] = { [1] = L0 | E | I }, /* VAESKEYGENASSIST */
        [0xf0] = { [3] = L0 | E | I | GEN }, /* RORX */
    },
};

const uint32_t emul_evex[5][256][4] = {
    { /* map 0F */
        /* VMOVUPS VMOVUPD VMOVSS VMOVSD */
        [0x10] = { LLL_W0 | E | K | Z, LLL_W1 | E | K | Z, LLL_W0 | E | RV | K | Z, LLL_W1 | E | RV | K | Z },
        /* VMOVUPS VMOVUPD VMOVSS VMOVSD */
        [0x11] = { LLL_W0 | E | K | ZR, LLL_W1 | E | K | ZR, LLL_W0 | E | RV | K | ZR, LLL_W1 | E | RV | K | ZR },
        [0x12] = { L0_W0 | E | V, L0_W1 | M | V, LLL_W0 | E | K | Z, LLL_W1 | E | K | Z }, /* VMOVHLPS VMOVLPD VMOVSLDUP VMOVDDUP */
        [0x13] = { L0_W0 | M, L0_W1 | M }, /* VMOVLPS VMOVLPD */
        [0x14 ... 0x15] = { LLL_W0 | E | V | K | Z | BC, LLL_W1 | E | V | K | Z | BC }, /* VUNPCKLPS VUNPCKLPD VUNPCKHPS VUNPCKHPD */
        [0x16] = { L0_W0 | E | V, L0_W1 | M | V, LLL_W0 | E | K | Z }, /* VMOVLHPS VMOVHPD VMOVSHDUP */
        [0x17] = { L0_W0 | M, L0_W1 | M }, /* VMOVHPS VMOVHPD */
        [0x28] = { LLL_W0 | E | K | Z, LLL_W1 | E | K | Z }, /* VMOVAPS VMOVAPD */
        [0x29] = { LLL_W0 | E | K | ZR, LLL_W1 | E | K | ZR }, /* VMOVAPS VMOVAPD */
        [0x2a] = { 0, 0, LLL | E | V | ER, LLL | E | V | ER }, /* VCVTSI2SS VCVTSI2SD */
        [0x2b] = { LLL_W0 | M, LLL_W1 | M }, /* VMOVNTPS VMOVNTPD */
        [0x2c ... 0x2d] = { 0, 0, LLL | E | ER | GR, LLL | E | ER | GR }, /* VCVTTSS2SI VCVTTSD2SI VCVTSS2SI VCVTSD2SI */
        [0x2e ... 0x2f] = { LLL_W0 | E | ER, LLL_W1 | E | ER }, /* VUCOMISS VUCOMISD VCOMISS VCOMISD */
        /* VSQRTPS VSQRTPD VSQRTSS VSQRTSD */
        [0x51] = { LLL_W0 | E | K | Z | BC | ER, LLL_W1 | E | K | Z | BC | ER, LLL_W0 | E | V | K | Z | ER, LLL_W1 | E | V | K | Z | ER },
        /* VANDPS VANDPD VANDNPS VANDNPD VORPS VORPD VXORPS VXORPD */
        [0x54 ... 0x57] = { LLL_W0 | E | V | K | Z | BC, LLL_W1 | E | V | K | Z | BC },
        /* VADDPS VADDPD VADDSS VADDSD VMULPS VMULPD VMULSS VMULSD */
        [0x58 ... 0x59] = { LLL_W0 | E | V | K | Z | BC | ER, LLL_W1 | E | V | K | Z | BC | ER, LLL_W0 | E | V | K | Z | ER,
                LLL_W1 | E | V | K | Z | ER },
        /* VCVTPS2PD VCVTPD2PS VCVTSS2SD VCVTSD2SS */
        [0x5a] = { LLL_W0 | E | K | Z | BC | ER, LLL_W1 | E | K | Z | BC | ER, LLL_W0 | E | V | K | Z | ER, LLL_W1 | E | V | K | Z | ER },
        /* VCVTQQ2PS VCVTPS2DQ VCVTTPS2DQ */
        [0x5b] = { LLL | E | K | Z | BC | ER, LLL_W0 | E | K | Z | BC | ER, LLL_W0 | E | K | Z | BC | ER },
        /* VSUBPS VSUBPD VSUBSS VSUBSD VMINPS VMINPD VMINSS VMINSD VDIVPS VDIVPD VDIVSS VDIVSD VMAXPS VMAXPD VMAXSS VMAXSD */
        [0x5c ... 0x5f] = { LLL_W0 | E | V | K | Z | BC | ER, LLL_W1 | E | V | K | Z | BC | ER, LLL_W0 | E | V | K | Z | ER,
                LLL_W1 | E | V | K | Z | ER },
        [0x60 ... 0x61] = { [1] = LLL | E | V | K | Z }, /* VPUNPCKLBW VPUNPCKLWD */
        [0x62] = { [1] = LLL_W0 | E | V | K | Z | BC }, /* VPUNPCKLDQ */
        [0x63] = { [1] = LLL | E | V | K | Z }, /* VPACKSSWB */
        [0x64 ... 0x65] = { [1] = LLL | E | V | K | KR }, /* VPCMPGTB VPCMPGTW */
        [0x66] = { [1] = LLL_W0 | E | V | K | BC | KR }, /* VPCMPGTD */
        [0x67 ... 0x69] = { [1] = LLL | E | V | K | Z }, /* VPACKUSWB VPUNPCKHBW VPUNPCKHWD */
        [0x6a ... 0x6b] = { [1] = LLL_W0 | E | V | K | Z | BC }, /* VPUNPCKHDQ VPACKSSDW */
        [0x6c ... 0x6d] = { [1] = LLL_W1 | E | V | K | Z | BC }, /* VPUNPCKLQDQ VPUNPCKHQDQ */
        [0x6e] = { [1] = L0 | E }, /* VMOVD */
        [0x6f] = { 0, LLL | E | K | Z, LLL | E | K | Z, LLL | E | K | Z }, /* VMOVDQA64 VMOVDQU64 VMOVDQU16 */
        [0x70] = { 0, LLL_W0 | E | I | K | Z | BC, LLL | E | I | K | Z, LLL | E | I | K | Z }, /* VPSHUFD VPSHUFHW VPSHUFLW */
        [0x71] = { [1] = BY(EVEX_1_71) }, /* group */
        [0x72] = { [1] = BY(EVEX_1_72) }, /* group */
        [0x73] = { [1] = BY(EVEX_1_73) }, /* group */
        [0x74 ... 0x75] = { [1] = LLL | E | V | K | KR }, /* VPCMPEQB VPCMPEQW */
        [0x76] = { [1] = LLL_W0 | E | V | K | BC | KR }, /* VPCMPEQD */
        /* VCVTTPD2UDQ VCVTTPD2UQQ VCVTTSS2USI VCVTTSD2USI VCVTPD2UDQ VCVTPD2UQQ VCVTSS2USI VCVTSD2USI */
        [0x78 ... 0x79] = { LLL | E | K | Z | BC | ER, LLL | E | K | Z | BC | ER, LLL | E | ER | GR, LLL | E | ER | GR },
        /* VCVTTPD2QQ VCVTUQQ2PD VCVTUQQ2PS */
        [0x7a] = { 0, LLL | E | K | Z | BC | ER, LLL | E | K | Z | BC | ER, LLL | E | K | Z | BC | ER },
        [0x7b] = { 0, LLL | E | K | Z | BC | ER, LLL | E | V | ER, LLL | E | V | ER }, /* VCVTPD2QQ VCVTUSI2SS VCVTUSI2SD */
        [0x7e] = { 0, L0 | E, L0_W1 | E }, /* VMOVD VMOVQ */
        [0x7f] = { 0, LLL | E | K | ZR, LLL | E | K | ZR, LLL | E | K | ZR }, /* VMOVDQA64 VMOVDQU64 VMOVDQU16 */
        /* VCMPPS VCMPPD VCMPSS VCMPSD */
        [0xc2] = { LLL_W0 | E | V | I | K | BC | ER | KR, LLL_W1 | E | V | I | K | BC | ER | KR, LLL_W0 | E | V | I | K | ER | KR,
                LLL_W1 | E | V | I | K | ER | KR },
        [0xc4] = { [1] = L0 | E | V | I }, /* VPINSRW */
        [0xc5] = { [1] = L0 | R | I | GR }, /* VPEXTRW */
        [0xc6] = { LLL_W0 | E | V | I | K | Z | BC, LLL_W1 | E | V | I | K | Z | BC }, /* VSHUFPS VSHUFPD */
        [0xd1] = { [1] = LLL | E | V | K | Z }, /* VPSRLW */
        [0xd2] = { [1] = LLL_W0 | E | V | K | Z }, /* VPSRLD */
        [0xd3] = { [1] = LLL_W1 | E | V | K | Z }, /* VPSRLQ */
        [0xd4] = { [1] = LLL_W1 | E | V | K | Z | BC }, /* VPADDQ */
        [0xd5] = { [1] = LLL | E | V | K | Z }, /* VPMULLW */
        [0xd6] = { [1] = L0_W1 | E }, /* VMOVQ */
        [0xd8 ... 0xda] = { [1] = LLL | E | V | K | Z }, /* VPSUBUSB VPSUBUSW VPMINUB */
        [0xdb] = { [1] = LLL | E | V | K | Z | BC }, /* VPANDQ */
        [0xdc ... 0xde] = { [1] = LLL | E | V | K | Z }, /* VPADDUSB VPADDUSW VPMAXUB */
        [0xdf] = { [1] = LLL | E | V | K | Z | BC }, /* VPANDNQ */
        [0xe0 ... 0xe5] = { [1] = LLL | E | V | K | Z }, /* VPAVGB VPSRAW VPSRAQ VPAVGW VPMULHUW VPMULHW */
        /* VCVTTPD2DQ VCVTQQ2PD VCVTPD2DQ */
        [0xe6] = { 0, LLL_W1 | E | K | Z | BC | ER, LLL | E | K | Z | BC | ER, LLL_W1 | E | K | Z | BC | ER },
        [0xe7] = { [1] = LLL_W0 | M }, /* VMOVNTDQ */
        [0xe8 ... 0xea] = { [1] = LLL | E | V | K | Z }, /* VPSUBSB VPSUBSW VPMINSW */
        [0xeb] = { [1] = LLL | E | V | K | Z | BC }, /* VPORQ */
        [0xec ... 0xee] = { [1] = LLL | E | V | K | Z }, /* VPADDSB VPADDSW VPMAXSW */
        [0xef] = { [1] = LLL | E | V | K | Z | BC }, /* VPXORQ */
        [0xf1] = { [1] = LLL | E | V | K | Z }, /* VPSLLW */
        [0xf2] = { [1] = LLL_W0 | E | V | K | Z }, /* VPSLLD */
        [0xf3] = { [1] = LLL_W1 | E | V | K | Z }, /* VPSLLQ */
        [0xf4] = { [1] = LLL_W1 | E | V | K | Z | BC }, /* VPMULUDQ */
        [0xf5] = { [1] = LLL | E | V | K | Z }, /* VPMADDWD */
        [0xf6] = { [1] = LLL | E | V }, /* VPSADBW */
        [0xf8 ... 0xf9] = { [1] = LLL | E | V | K | Z }, /* VPSUBB VPSUBW */
        [0xfa] = { [1] = LLL_W0 | E | V | K | Z | BC }, /* VPSUBD */
        [0xfb] = { [1] = LLL_W1 | E | V | K | Z | BC }, /* VPSUBQ */
        [0xfc ... 0xfd] = { [1] = LLL | E | V | K | Z }, /* VPADDB VPADDW */
        [0xfe] = { [1] = LLL_W0 | E | V | K | Z | BC }, /* VPADDD */
    },
    { /* map 0F38 */
        [0x00] = { [1] = LLL | E | V | K | Z }, /* VPSHUFB */
        [0x04] = { [1] = LLL | E | V | K | Z }, /* VPMADDUBSW */
        [0x0b] = { [1] = LLL | E | V | K | Z }, /* VPMULHRSW */
        [0x0c] = { [1] = LLL_W0 | E | V | K | Z | BC }, /* VPERMILPS */
        [0x0d] = { [1] = LLL_W1 | E | V | K | Z | BC }, /* VPERMILPD */
        [0x10 ... 0x12] = { 0, LLL_W1 | E | V | K | Z, LLL_W0 | E | K | ZR }, /* VPSRLVW VPMOVUSWB VPSRAVW VPMOVUSDB VPSLLVW VPMOVUSQB */
        [0x13] = { 0, LLL_W0 | E | K | Z | ER, LLL_W0 | E | K | ZR }, /* VCVTPH2PS VPMOVUSDW */
        [0x14 ... 0x15] = { 0, LLL | E | V | K | Z | BC, LLL_W0 | E | K | ZR }, /* VPRORVQ VPMOVUSQW VPROLVQ VPMOVUSQD */
        [0x16] = { [1] = L12 | E | V | K | Z | BC }, /* VPERMPD */
        [0x18] = { [1] = LLL_W0 | E | K | Z }, /* VBROADCASTSS */
        [0x19] = { [1] = L12 | E | K | Z }, /* VBROADCASTSD */
        [0x1a] = { [1] = L12 | M | K | Z }, /* VBROADCASTF64X2 */
        [0x1b] = { [1] = L2 | M | K | Z }, /* VBROADCASTF64X4 */
        [0x1c ... 0x1d] = { [1] = LLL | E | K | Z }, /* VPABSB VPABSW */
        [0x1e] = { [1] = LLL_W0 | E | K | Z | BC }, /* VPABSD */
        [0x1f] = { [1] = LLL_W1 | E | K | Z | BC }, /* VPABSQ */
        /* VPMOVSXBW VPMOVSWB VPMOVSXBD VPMOVSDB VPMOVSXBQ VPMOVSQB VPMOVSXWD VPMOVSDW VPMOVSXWQ VPMOVSQW */
        [0x20 ... 0x24] = { 0, LLL | E | K | Z, LLL_W0 | E | K | ZR },
        [0x25] = { 0, LLL_W0 | E | K | Z, LLL_W0 | E | K | ZR }, /* VPMOVSXDQ VPMOVSQD */
        [0x26] = { 0, LLL | E | V | K | KR, LLL | E | V | K | KR }, /* VPTESTMW VPTESTNMW */
        [0x27] = { 0, LLL | E | V | K | BC | KR, LLL | E | V | K | BC | KR }, /* VPTESTMQ VPTESTNMQ */
        [0x28] = { 0, LLL_W1 | E | V | K | Z | BC, LLL | R }, /* VPMULDQ VPMOVM2W */
        [0x29] = { 0, LLL_W1 | E | V | K | BC | KR, LLL | R | KR }, /* VPCMPEQQ VPMOVW2M */
        [0x2a] = { 0, LLL_W0 | M, LLL_W1 | R }, /* VMOVNTDQA VPBROADCASTMB2Q */
        [0x2b] = { [1] = LLL_W0 | E | V | K | Z | BC }, /* VPACKUSDW */
        [0x2c] = { [1] = LLL | E | V | K | Z | BC | ER }, /* VSCALEFPD */
        [0x2d] = { [1] = LLL | E | V | K | Z | ER }, /* VSCALEFSD */
        /* VPMOVZXBW VPMOVWB VPMOVZXBD VPMOVDB VPMOVZXBQ VPMOVQB VPMOVZXWD VPMOVDW VPMOVZXWQ VPMOVQW */
        [0x30 ... 0x34] = { 0, LLL | E | K | Z, LLL_W0 | E | K | ZR },
        [0x35] = { 0, LLL_W0 | E | K | Z, LLL_W0 | E | K | ZR }, /* VPMOVZXDQ VPMOVQD */
        [0x36] = { [1] = L12 | E | V | K | Z | BC }, /* VPERMQ */
        [0x37] = { [1] = LLL_W1 | E | V | K | BC | KR }, /* VPCMPGTQ */
        [0x38] = { 0, LLL | E | V | K | Z, LLL | R }, /* VPMINSB VPMOVM2Q */
        [0x39] = { 0, LLL | E | V | K | Z | BC, LLL | R | KR }, /* VPMINSQ VPMOVQ2M */
        [0x3a] = { 0, LLL | E | V | K | Z, LLL_W0 | R }, /* VPMINUW VPBROADCASTMW2D */
        [0x3b] = { [1] = LLL | E | V | K | Z | BC }, /* VPMINUQ */
        [0x3c] = { [1] = LLL | E | V | K | Z }, /* VPMAXSB */
        [0x3d] = { [1] = LLL | E | V | K | Z | BC }, /* VPMAXSQ */
        [0x3e] = { [1] = LLL | E | V | K | Z }, /* VPMAXUW */
        [0x3f ... 0x40] = { [1] = LLL | E | V | K | Z | BC }, /* VPMAXUQ VPMULLQ */
        [0x42] = { [1] = LLL | E | K | Z | BC | ER }, /* VGETEXPPD */
        [0x43] = { [1] = LLL | E | V | K | Z | ER }, /* VGETEXPSD */
        [0x44] = { [1] = LLL | E | K | Z | BC }, /* VPLZCNTQ */
        [0x45 ... 0x47] = { [1] = LLL | E | V | K | Z | BC }, /* VPSRLVQ VPSRAVQ VPSLLVQ */
        [0x4c] = { [1] = LLL | E | K | Z | BC }, /* VRCP14PD */
        [0x4d] = { [1] = LLL | E | V | K | Z }, /* VRCP14SD */
        [0x4e] = { [1] = LLL | E | K | Z | BC }, /* VRSQRT14PD */
        [0x4f] = { [1] = LLL | E | V | K | Z }, /* VRSQRT14SD */
        [0x50 ... 0x51] = { [1] = LLL_W0 | E | V | K | Z | BC }, /* VPDPBUSD VPDPBUSDS */
        [0x52] = { 0, LLL_W0 | E | V | K | Z | BC, LLL_W0 | E | V | K | Z | BC, L2_W0 | M | V | K | Z }, /* VPDPWSSD VDPBF16PS VP4DPWSSD */
        [0x53] = { 0, LLL_W0 | E | V | K | Z | BC, 0, L2_W0 | M | V | K | Z }, /* VPDPWSSDS VP4DPWSSDS */
        [0x54] = { [1] = LLL | E | K | Z }, /* VPOPCNTW */
        [0x55] = { [1] = LLL | E | K | Z | BC }, /* VPOPCNTQ */
        [0x58] = { [1] = LLL_W0 | E | K | Z }, /* VPBROADCASTD */
        [0x59] = { [1] = LLL | E | K | Z }, /* VPBROADCASTQ */
        [0x5a] = { [1] = L12 | M | K | Z }, /* VBROADCASTI64X2 */
        [0x5b] = { [1] = L2 | M | K | Z }, /* VBROADCASTI64X4 */
        [0x62] = { [1] = LLL | E | K | Z }, /* VPEXPANDW */
        [0x63] = { [1] = LLL | E | K | ZR }, /* VPCOMPRESSW */
        [0x64 ... 0x65] = { [1] = LLL | E | V | K | Z | BC }, /* VPBLENDMQ VBLENDMPD */
        [0x66] = { [1] = LLL | E | V | K | Z }, /* VPBLENDMW */
        [0x68] = { [3] = LLL | E | V | BC | KR }, /* VP2INTERSECTQ */
        [0x70] = { [1] = LLL_W1 | E | V | K | Z }, /* VPSHLDVW */
        [0x71] = { [1] = LLL | E | V | K | Z | BC }, /* VPSHLDVQ */
        /* VPSHRDVW VCVTNEPS2BF16 VCVTNE2PS2BF16 */
        [0x72] = { 0, LLL_W1 | E | V | K | Z, LLL_W0 | E | K | Z | BC, LLL_W0 | E | V | K | Z | BC },
        [0x73] = { [1] = LLL | E | V | K | Z | BC }, /* VPSHRDVQ */
        [0x75] = { [1] = LLL | E | V | K | Z }, /* VPERMI2W */
        [0x76 ... 0x77] = { [1] = LLL | E | V | K | Z | BC }, /* VPERMI2Q VPERMI2PD */
        [0x78 ... 0x79] = { [1] = LLL_W0 | E | K | Z }, /* VPBROADCASTB VPBROADCASTW */
        [0x7a ... 0x7b] = { [1] = LLL_W0 | R | K | ZR }, /* VPBROADCASTB VPBROADCASTW */
        [0x7c] = { [1] = LLL | R | K | ZR }, /* VPBROADCASTD */
        [0x7d] = { [1] = LLL | E | V | K | Z }, /* VPERMT2W */
        [0x7e ... 0x7f] = { [1] = LLL | E | V | K | Z | BC }, /* VPERMT2Q VPERMT2PD */
        [0x83] = { [1] = LLL_W1 | E | V | K | Z | BC }, /* VPMULTISHIFTQB */
        [0x88 ... 0x89] = { [1] = LLL | E | K | Z }, /* VEXPANDPD VPEXPANDQ */
        [0x8a ... 0x8b] = { [1] = LLL | E | K | ZR }, /* VCOMPRESSPD VPCOMPRESSQ */
        [0x8d] = { [1] = LLL | E | V | K | Z }, /* VPERMW */
        [0x8f] = { [1] = LLL_W0 | E | V | K | KR }, /* VPSHUFBITQMB */
        [0x90 ... 0x93] = { [1] = LLL | M | VS | K }, /* VPGATHERDQ VPGATHERQQ VGATHERDPD VGATHERQPD */
        [0x96 ... 0x98] = { [1] = LLL | E | V | K | Z | BC | ER }, /* VFMADDSUB132PD VFMSUBADD132PD VFMADD132PD */
        [0x99] = { [1] = LLL | E | V | K | Z | ER }, /* VFMADD132SD */
        [0x9a] = { 0, LLL | E | V | K | Z | BC | ER, 0, L2_W0 | M | V | K | Z }, /* VFMSUB132PD V4FMADDPS */
        [0x9b] = { 0, LLL | E | V | K | Z | ER, 0, LLL_W0 | M | V | K | Z }, /* VFMSUB132SD V4FMADDSS */
        [0x9c] = { [1] = LLL | E | V | K | Z | BC | ER }, /* VFNMADD132PD */
        [0x9d] = { [1] = LLL | E | V | K | Z | ER }, /* VFNMADD132SD */
        [0x9e] = { [1] = LLL | E | V | K | Z | BC | ER }, /* VFNMSUB132PD */
        [0x9f] = { [1] = LLL | E | V | K | Z | ER }, /* VFNMSUB132SD */
        [0xa0 ... 0xa3] = { [1] = LLL | M | VS | K }, /* VPSCATTERDQ VPSCATTERQQ VSCATTERDPD VSCATTERQPD */
        [0xa6 ... 0xa8] = { [1] = LLL | E | V | K | Z | BC | ER }, /* VFMADDSUB213PD VFMSUBADD213PD VFMADD213PD */
        [0xa9] = { [1] = LLL | E | V | K | Z | ER }, /* VFMADD213SD */
        [0xaa] = { 0, LLL | E | V | K | Z | BC | ER, 0, L2_W0 | M | V | K | Z }, /* VFMSUB213PD V4FNMADDPS */
        [0xab] = { 0, LLL | E | V | K | Z | ER, 0, LLL_W0 | M | V | K | Z }, /* VFMSUB213SD V4FNMADDSS */
        [0xac] = { [1] = LLL | E | V | K | Z | BC | ER }, /* VFNMADD213PD */
        [0xad] = { [1] = LLL | E | V | K | Z | ER }, /* VFNMADD213SD */
        [0xae] = { [1] = LLL | E | V | K | Z | BC | ER }, /* VFNMSUB213PD */
        [0xaf] = { [1] = LLL | E | V | K | Z | ER }, /* VFNMSUB213SD */
        [0xb4 ... 0xb5] = { [1] = LLL_W1 | E | V | K | Z | BC }, /* VPMADD52LUQ VPMADD52HUQ */
        [0xb6 ... 0xb8] = { [1] = LLL | E | V | K | Z | BC | ER }, /* VFMADDSUB231PD VFMSUBADD231PD VFMADD231PD */
        [0xb9] = { [1] = LLL | E | V | K | Z | ER }, /* VFMADD231SD */
        [0xba] = { [1] = LLL | E | V | K | Z | BC | ER }, /* VFMSUB231PD */
        [0xbb] = { [1] = LLL | E | V | K | Z | ER }, /* VFMSUB231SD */
        [0xbc] = { [1] = LLL | E | V | K | Z | BC | ER }, /* VFNMADD231PD */
        [0xbd] = { [1] = LLL | E | V | K | Z | ER }, /* VFNMADD231SD */
        [0xbe] = { [1] = LLL | E | V | K | Z | BC | ER }, /* VFNMSUB231PD */
        [0xbf] = { [1] = LLL | E | V | K | Z | ER }, /* VFNMSUB231SD */
        [0xc4] = { [1] = LLL | E | K | Z | BC }, /* VPCONFLICTQ */
        [0xc6] = { [1] = BY(EVEX_2_C6) }, /* group */
        [0xc7] = { [1] = BY(EVEX_2_C7) }, /* group */
        [0xc8] = { [1] = L2 | E | K | Z | BC | ER }, /* VEXP2PD */
        [0xca] = { [1] = L2 | E | K | Z | BC | ER }, /* VRCP28PD */
        [0xcb] = { [1] = LLL | E | V | K | Z | ER }, /* VRCP28SD */
        [0xcc] = { [1] = L2 | E | K | Z | BC | ER }, /* VRSQRT28PD */
        [0xcd] = { [1] = LLL | E | V | K | Z | ER }, /* VRSQRT28SD */
        [0xcf] = { [1] = LLL_W0 | E | V | K | Z }, /* VGF2P8MULB */
        [0xdc ... 0xdf] = { [1] = LLL | E | V }, /* VAESENC VAESENCLAST VAESDEC VAESDECLAST */
    },
    { /* map 0F3A */
        [0x00 ... 0x01] = { [1] = L12_W1 | E | I | K | Z | BC }, /* VPERMQ VPERMPD */
        [0x03] = { [1] = LLL | E | V | I | K | Z | BC }, /* VALIGNQ */
        [0x04] = { [1] = LLL_W0 | E | I | K | Z | BC }, /* VPERMILPS */
        [0x05] = { [1] = LLL_W1 | E | I | K | Z | BC }, /* VPERMILPD */
        [0x08] = { LLL_W0 | E | I | K | Z | BC | ER, LLL_W0 | E | I | K | Z | BC | ER }, /* VRNDSCALEPH VRNDSCALEPS */
        [0x09] = { [1] = LLL_W1 | E | I | K | Z | BC | ER }, /* VRNDSCALEPD */
        [0x0a] = { LLL_W0 | E | V | I | K | Z | ER, LLL_W0 | E | V | I | K | Z | ER }, /* VRNDSCALESH VRNDSCALESS */
        [0x0b] = { [1] = LLL_W1 | E | V | I | K | Z | ER }, /* VRNDSCALESD */
        [0x0f] = { [1] = LLL | E | V | I | K | Z }, /* VPALIGNR */
        [0x14 ... 0x17] = { [1] = L0 | E | I }, /* VPEXTRB VPEXTRW VPEXTRD VEXTRACTPS */
        [0x18] = { [1] = L12 | E | V | I | K | Z }, /* VINSERTF64X2 */
        [0x19] = { [1] = L12 | E | I | K | ZR }, /* VEXTRACTF64X2 */
        [0x1a] = { [1] = L2 | E | V | I | K | Z }, /* VINSERTF64X4 */
        [0x1b] = { [1] = L2 | E | I | K | ZR }, /* VEXTRACTF64X4 */
        [0x1d] = { [1] = LLL_W0 | E | I | K | ZR | ER }, /* VCVTPS2PH */
        [0x1e ... 0x1f] = { [1] = LLL | E | V | I | K | BC | KR }, /* VPCMPUQ VPCMPQ */
        [0x20] = { [1] = L0 | E | V | I }, /* VPINSRB */
        [0x21] = { [1] = L0_W0 | E | V | I }, /* VINSERTPS */
        [0x22] = { [1] = L0 | E | V | I }, /* VPINSRD */
        [0x23] = { [1] = L12 | E | V | I | K | Z | BC }, /* VSHUFF64X2 */
        [0x25] = { [1] = LLL | E | V | I | K | Z | BC }, /* VPTERNLOGQ */
        [0x26] = { LLL_W0 | E | I | K | Z | BC | ER, LLL | E | I | K | Z | BC | ER }, /* VGETMANTPH VGETMANTPD */
        [0x27] = { LLL_W0 | E | V | I | K | Z | ER, LLL | E | V | I | K | Z | ER }, /* VGETMANTSH VGETMANTSD */
        [0x38] = { [1] = L12 | E | V | I | K | Z }, /* VINSERTI64X2 */
        [0x39] = { [1] = L12 | E | I | K | ZR }, /* VEXTRACTI64X2 */
        [0x3a] = { [1] = L2 | E | V | I | K | Z }, /* VINSERTI64X4 */
        [0x3b] = { [1] = L2 | E | I | K | ZR }, /* VEXTRACTI64X4 */
        [0x3e ... 0x3f] = { [1] = LLL | E | V | I | K | KR }, /* VPCMPUW VPCMPW */
        [0x42] = { [1] = LLL_W0 | E | V | I | K | Z }, /* VDBPSADBW */
        [0x43] = { [1] = L12 | E | V | I | K | Z | BC }, /* VSHUFI64X2 */
        [0x44] = { [1] = LLL | E | V | I }, /* VPCLMULQDQ */
        [0x50] = { [1] = LLL | E | V | I | K | Z | BC | ER }, /* VRANGEPD */
        [0x51] = { [1] = LLL | E | V | I | K | Z | ER }, /* VRANGESD */
        [0x54] = { [1] = LLL | E | V | I | K | Z | BC | ER }, /* VFIXUPIMMPD */
        [0x55] = { [1] = LLL | E | V | I | K | Z | ER }, /* VFIXUPIMMSD */
        [0x56] = { LLL_W0 | E | I | K | Z | BC | ER, LLL | E | I | K | Z | BC | ER }, /* VREDUCEPH VREDUCEPD */
        [0x57] = { LLL_W0 | E | V | I | K | Z | ER, LLL | E | V | I | K | Z | ER }, /* VREDUCESH VREDUCESD */
        [0x66] = { LLL_W0 | E | I | K | BC | KR, LLL | E | I | K | BC | KR }, /* VFPCLASSPH VFPCLASSPD */
        [0x67] = { LLL_W0 | E | I | K | KR, LLL | E | I | K | KR }, /* VFPCLASSSH VFPCLASSSD */
        [0x70] = { [1] = LLL_W1 | E | V | I | K | Z }, /* VPSHLDW */
        [0x71] = { [1] = LLL | E | V | I | K | Z | BC }, /* VPSHLDQ */
        [0x72] = { [1] = LLL_W1 | E | V | I | K | Z }, /* VPSHRDW */
        [0x73] = { [1] = LLL | E | V | I | K | Z | BC }, /* VPSHRDQ */
        [0xc2] = { LLL_W0 | E | V | I | K | BC | ER | KR, 0, LLL_W0 | E | V | I | K | ER | KR }, /* VCMPPH VCMPSH */
        [0xce ... 0xcf] = { [1] = LLL_W1 | E | V | I | K | Z | BC }, /* VGF2P8AFFINEQB VGF2P8AFFINEINVQB */
    },
    { /* map 5 */
        [0x10] = { [2] = LLL_W0 | E | RV | K | Z }, /* VMOVSH */
        [0x11] = { [2] = LLL_W0 | E | RV | K | ZR }, /* VMOVSH */
        [0x1d] = { LLL_W0 | E | V | K | Z | ER, LLL_W0 | E | K | Z | BC | ER }, /* VCVTSS2SH VCVTPS2PHX */
        [0x2a] = { [2] = LLL | E | V | ER }, /* VCVTSI2SH */
        [0x2c ... 0x2d] = { [2] = LLL | E | ER | GR }, /* VCVTTSH2SI VCVTSH2SI */
        [0x2e ... 0x2f] = { LLL_W0 | E | ER }, /* VUCOMISH VCOMISH */
        [0x51] = { LLL_W0 | E | K | Z | BC | ER, 0, LLL_W0 | E | V | K | Z | ER }, /* VSQRTPH VSQRTSH */
        [0x58 ... 0x59] = { LLL_W0 | E | V | K | Z | BC | ER, 0, LLL_W0 | E | V | K | Z | ER }, /* VADDPH VADDSH VMULPH VMULSH */
        /* VCVTPH2PD VCVTPD2PH VCVTSH2SD VCVTSD2SH */
        [0x5a] = { LLL_W0 | E | K | Z | BC | ER, LLL_W1 | E | K | Z | BC | ER, LLL_W0 | E | V | K | Z | ER, LLL_W1 | E | V | K | Z | ER },
        /* VCVTQQ2PH VCVTPH2DQ VCVTTPH2DQ */
        [0x5b] = { LLL | E | K | Z | BC | ER, LLL_W0 | E | K | Z | BC | ER, LLL_W0 | E | K | Z | BC | ER },
        /* VSUBPH VSUBSH VMINPH VMINSH VDIVPH VDIVSH VMAXPH VMAXSH */
        [0x5c ... 0x5f] = { LLL_W0 | E | V | K | Z | BC | ER, 0, LLL_W0 | E | V | K | Z | ER },
        [0x6e] = { [1] = L0 | E }, /* VMOVW */
        /* VCVTTPH2UDQ VCVTTPH2UQQ VCVTTSH2USI VCVTPH2UDQ VCVTPH2UQQ VCVTSH2USI */
        [0x78 ... 0x79] = { LLL_W0 | E | K | Z | BC | ER, LLL_W0 | E | K | Z | BC | ER, LLL | E | ER | GR },
        [0x7a] = { 0, LLL_W0 | E | K | Z | BC | ER, 0, LLL | E | K | Z | BC | ER }, /* VCVTTPH2QQ VCVTUQQ2PH */
        [0x7b] = { 0, LLL_W0 | E | K | Z | BC | ER, LLL | E | V | ER }, /* VCVTPH2QQ VCVTUSI2SH */
        [0x7c] = { LLL_W0 | E | K | Z | BC | ER, LLL_W0 | E | K | Z | BC | ER }, /* VCVTTPH2UW VCVTTPH2W */
        [0x7d] = ALL4(LLL_W0 | E | K | Z | BC | ER), /* VCVTPH2UW VCVTPH2W VCVTW2PH VCVTUW2PH */
        [0x7e] = { [1] = L0 | E }, /* VMOVW */
    },
    { /* map 6 */
        [0x13] = { LLL_W0 | E | V | K | Z | ER, LLL_W0 | E | K | Z | BC | ER }, /* VCVTSH2SS VCVTPH2PSX */
        [0x2c] = { [1] = LLL_W0 | E | V | K | Z | BC | ER }, /* VSCALEFPH */
        [0x2d] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VSCALEFSH */
        [0x42] = { [1] = LLL_W0 | E | K | Z | BC | ER }, /* VGETEXPPH */
        [0x43] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VGETEXPSH */
        [0x4c] = { [1] = LLL_W0 | E | K | Z | BC }, /* VRCPPH */
        [0x4d] = { [1] = LLL_W0 | E | V | K | Z }, /* VRCPSH */
        [0x4e] = { [1] = LLL_W0 | E | K | Z | BC }, /* VRSQRTPH */
        [0x4f] = { [1] = LLL_W0 | E | V | K | Z }, /* VRSQRTSH */
        [0x56] = { 0, 0, LLL_W0 | E | V | K | Z | BC | ER | DI, LLL_W0 | E | V | K | Z | BC | ER | DI }, /* VFMADDCPH VFCMADDCPH */
        [0x57] = { 0, 0, LLL_W0 | E | V | K | Z | ER | DI, LLL_W0 | E | V | K | Z | ER | DI }, /* VFMADDCSH VFCMADDCSH */
        [0x96 ... 0x98] = { [1] = LLL_W0 | E | V | K | Z | BC | ER }, /* VFMADDSUB132PH VFMSUBADD132PH VFMADD132PH */
        [0x99] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VFMADD132SH */
        [0x9a] = { [1] = LLL_W0 | E | V | K | Z | BC | ER }, /* VFMSUB132PH */
        [0x9b] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VFMSUB132SH */
        [0x9c] = { [1] = LLL_W0 | E | V | K | Z | BC | ER }, /* VFNMADD132PH */
        [0x9d] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VFNMADD132SH */
        [0x9e] = { [1] = LLL_W0 | E | V | K | Z | BC | ER }, /* VFNMSUB132PH */
        [0x9f] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VFNMSUB132SH */
        [0xa6 ... 0xa8] = { [1] = LLL_W0 | E | V | K | Z | BC | ER }, /* VFMADDSUB213PH VFMSUBADD213PH VFMADD213PH */
        [0xa9] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VFMADD213SH */
        [0xaa] = { [1] = LLL_W0 | E | V | K | Z | BC | ER }, /* VFMSUB213PH */
        [0xab] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VFMSUB213SH */
        [0xac] = { [1] = LLL_W0 | E | V | K | Z | BC | ER }, /* VFNMADD213PH */
        [0xad] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VFNMADD213SH */
        [0xae] = { [1] = LLL_W0 | E | V | K | Z | BC | ER }, /* VFNMSUB213PH */
        [0xaf] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VFNMSUB213SH */
        [0xb6 ... 0xb8] = { [1] = LLL_W0 | E | V | K | Z | BC | ER }, /* VFMADDSUB231PH VFMSUBADD231PH VFMADD231PH */
        [0xb9] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VFMADD231SH */
        [0xba] = { [1] = LLL_W0 | E | V | K | Z | BC | ER }, /* VFMSUB231PH */
        [0xbb] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VFMSUB231SH */
        [0xbc] = { [1] = LLL_W0 | E | V | K | Z | BC | ER }, /* VFNMADD231PH */
        [0xbd] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VFNMADD231SH */
        [0xbe] = { [1] = LLL_W0 | E | V | K | Z | BC | ER }, /* VFNMSUB231PH */
        [0xbf] = { [1] = LLL_W0 | E | V | K | Z | ER }, /* VFNMSUB231SH */
        [0xd6] = { 0, 0, LLL_W0 | E | V | K | Z | BC | ER | DI, LLL_W0 | E | V | K | Z | BC | ER | DI }, /* VFMULCPH VFCMULCPH */
        [0xd7] = { 0, 0, LLL_W0 | E | V | K | Z | ER | DI, LLL_W0 | E | V | K | Z | ER | DI }, /* VFMULCSH VFCMULCSH */
    },
};

const uint32_t emul_xop[3][256][4] = {
    { /* XOP map 8 */
        [0x85 ... 0x87] = { L0_W0 | E | V | I }, /* VPMACSSWW VPMACSSWD VPMACSSDQL */
        [0x8e ... 0x8f] = { L0_W0 | E | V | I }, /* VPMACSSDD VPMACSSDQH */
        [0x95 ... 0x97] = { L0_W0 | E | V | I }, /* VPMACSWW VPMACSWD VPMACSDQL */
        [0x9e ... 0x9f] = { L0_W0 | E | V | I }, /* VPMACSDD VPMACSDQH */
        [0xa2] = { LL | E | V | I }, /* VPCMOV */
        [0xa3] = { L0 | E | V | I }, /* VPPERM */
        [0xa6] = { L0_W0 | E | V | I }, /* VPMADCSSWD */
        [0xb6] = { L0_W0 | E | V | I }, /* VPMADCSWD */
        [0xc0 ... 0xc3] = { L0_W0 | E | I }, /* VPROTB VPROTW VPROTD VPROTQ */
        [0xcc ... 0xcf] = { L0_W0 | E | V | I }, /* VPCOMB VPCOMW VPCOMD VPCOMQ */
        [0xec ... 0xef] = { L0_W0 | E | V | I }, /* VPCOMUB VPCOMUW VPCOMUD VPCOMUQ */
    },
    { /* XOP map 9 */
        [0x01] = { BY(XOP_9_01) }, /* group */
        [0x02] = { BY(XOP_9_02) }, /* group */
        [0x12] = { BY(XOP_9_12) }, /* group */
        [0x80 ... 0x81] = { LL_W0 | E }, /* VFRCZPS VFRCZPD */
        [0x82 ... 0x83] = { L0_W0 | E }, /* VFRCZSS VFRCZSD */
        [0x90 ... 0x9b] = { L0 | E | V }, /* VPROTB VPROTW VPROTD VPROTQ VPSHLB VPSHLW VPSHLD VPSHLQ VPSHAB VPSHAW VPSHAD VPSHAQ */
        [0xc1 ... 0xc3] = { L0_W0 | E }, /* VPHADDBW VPHADDBD VPHADDBQ */
        [0xc6 ... 0xc7] = { L0_W0 | E }, /* VPHADDWD VPHADDWQ */
        [0xcb] = { L0_W0 | E }, /* VPHADDDQ */
        [0xd1 ... 0xd3] = { L0_W0 | E }, /* VPHADDUBW VPHADDUBD VPHADDUBQ */
        [0xd6 ... 0xd7] = { L0_W0 | E }, /* VPHADDUWD VPHADDUWQ */
        [0xdb] = { L0_W0 | E }, /* VPHADDUDQ */
        [0xe1 ... 0xe3] = { L0_W0 | E }, /* VPHSUBBW VPHSUBWD VPHSUBDQ */
    },
    { /* XOP map A */
        [0x10] = { L0 | E | I4 }, /* BEXTR */
        [0x12] = { BY(XOP_A_12) }, /* group */
    },
};

const uint32_t emul_vector_reg[][8] = {
    [ROW_VEX_2_49] = { [0] = L0_W0 | E | RM0 | O64 }, /* LDTILECFG TILERELEASE */
    [ROW_VEX_2_49_1] = { [0] = L0_W0 | M | O64 }, /* STTILECFG */
    [ROW_VEX_1_71] = { [2] = LL | R | V | I, [4] = LL | R | V | I, [6] = LL | R | V | I }, /* VPSRLW VPSRAW VPSLLW */
    [ROW_VEX_1_72] = { [2] = LL | R | V | I, [4] = LL | R | V | I, [6] = LL | R | V | I }, /* VPSRLD VPSRAD VPSLLD */
    /* VPSRLQ VPSRLDQ VPSLLQ VPSLLDQ */
    [ROW_VEX_1_73] = { [2] = LL | R | V | I, [3] = LL | R | V | I, [6] = LL | R | V | I, [7] = LL | R | V | I },
    [ROW_VEX_1_AE] = { [2] = L0 | M, [3] = L0 | M }, /* VLDMXCSR VSTMXCSR */
    [ROW_VEX_2_F3] = { [1] = L0 | E | V | GEN, [2] = L0 | E | V | GEN, [3] = L0 | E | V | GEN }, /* BLSR BLSMSK BLSI */
    /* VPSRLW VPSRAW VPSLLW */
    [ROW_EVEX_1_71] = { [2] = LLL | E | V | I | K | Z, [4] = LLL | E | V | I | K | Z, [6] = LLL | E | V | I | K | Z },
    /* VPRORQ VPROLQ VPSRLD VPSRAQ VPSLLD */
    [ROW_EVEX_1_72] = { [0] = LLL | E | V | I | K | Z | BC, [1] = LLL | E | V | I | K | Z | BC, [2] = LLL_W0 | E | V | I | K | Z | BC,
        [4] = LLL | E | V | I | K | Z | BC, [6] = LLL_W0 | E | V | I | K | Z | BC },
    /* VPSRLQ VPSRLDQ VPSLLQ VPSLLDQ */
    [ROW_EVEX_1_73] = { [2] = LLL_W1 | E | V | I | K | Z | BC, [3] = LLL | E | V | I, [6] = LLL_W1 | E | V | I | K | Z | BC,
        [7] = LLL | E | V | I },
    /* VGATHERPF0DPD VGATHERPF1DPD VSCATTERPF0DPD VSCATTERPF1DPD */
    [ROW_EVEX_2_C6] = { [1] = L2 | M | VS | K, [2] = L2 | M | VS | K, [5] = L2 | M | VS | K, [6] = L2 | M | VS | K },
    /* VGATHERPF0QPD VGATHERPF1QPD VSCATTERPF0QPD VSCATTERPF1QPD */
    [ROW_EVEX_2_C7] = { [1] = L2 | M | VS | K, [2] = L2 | M | VS | K, [5] = L2 | M | VS | K, [6] = L2 | M | VS | K },
    /* BLCFILL BLSFILL BLCS TZMSK BLCIC BLSIC T1MSKC */
    [ROW_XOP_9_01] = { [1] = L0 | E | V, [2] = L0 | E | V, [3] = L0 | E | V, [4] = L0 | E | V, [5] = L0 | E | V, [6] = L0 | E | V,
        [7] = L0 | E | V },
    [ROW_XOP_9_02] = { [1] = L0 | E | V, [6] = L0 | E | V }, /* BLCMSK BLCI */
    [ROW_XOP_9_12] = { [0] = L0 | R, [1] = L0 | R }, /* LLWPCB SLWPCB */
    [ROW_XOP_A_12] = { [0] = L0 | E | V | I4, [1] = L0 | E | V | I4 }, /* LWPINS LWPVAL */
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
