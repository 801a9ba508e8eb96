#include "lane_transform_inl.h"

namespace freqops::cpu::FREQOPS_LEVEL {
FREQOPS_INSTANTIATE_LANE_TRANSFORM(float)
}  // namespace freqops::cpu::FREQOPS_LEVEL
