#include "optim/slices.h"

#include <gmock/gmock.h>

#include "support/many_blocks.h"

namespace tributary {
namespace {

using testing::ElementsAre;

TEST(Buckets, become_ready_in_the_order_of_backward_and_cover_the_buffer_once) {
  const BlockList model = testing_support::nine_block_model();
  int compared = 0;
  for (const std::vector<std::size_t>& cut : {std::vector<std::size_t>{0}, {0, 4}, {0, 3, 7}})
    for (const std::int64_t elements : {std::int64_t{1}, 2 * arena_block, 100 * arena_block}) {
      const ModelLayout layout = lay_out(model, cut);
      for (const StageLayout& stage : layout.stages) {
        const std::vector<Bucket> buckets = make_buckets(stage, elements);
        std::vector<int> covered(static_cast<std::size_t>(stage.gradient), 0);
        for (std::size_t b = 0; b < buckets.size(); ++b) {
          EXPECT_LT(buckets[b].last_block, b > 0 ? buckets[b - 1].last_block : stage.uses.size());
          std::int64_t count = 0;
          for (const Range& range : buckets[b].ranges) {
            EXPECT_EQ(range.offset % arena_block, 0);
            count += range.count;
            for (std::int64_t i = 0; i < range.count; ++i) ++covered[static_cast<std::size_t>(range.offset + i)];
          }
          EXPECT_GE(count, b + 1 < buckets.size() ? elements : 1);
          // A use is ready no earlier than its block.
          for (std::size_t block = 0; block < stage.uses.size(); ++block)
            for (const ParameterUse& use : stage.uses[block])
              for (const Range& range : buckets[b].ranges)
                EXPECT_FALSE(use.gradient >= range.offset && use.gradient < range.offset + range.count && block < buckets[b].last_block);
        }
        EXPECT_EQ(std::count(covered.begin(), covered.end(), 1), stage.gradient);
        ++compared;
      }
    }
  EXPECT_EQ(compared, 18);
}

TEST(Buckets, are_cut_into_every_ranks_slices) {
  const ModelLayout layout = lay_out(testing_support::nine_block_model(), {0, 4});
  int compared = 0;
  for (int stage = 0; stage < 2; ++stage)
    for (int ranks = 1; ranks <= 5; ++ranks) {
      const auto parts = slice_gradient(layout, stage, ranks);
      const StageLayout& of = layout.stages[static_cast<std::size_t>(stage)];
      std::int64_t all = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        std::vector<Piece> pieces;
        for (const Bucket& bucket : make_buckets(of, 1))
          for (const Piece& piece : pieces_of_rank(bucket, parts, static_cast<std::size_t>(rank))) pieces.push_back(piece);
        std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.place < b.place; });
        std::int64_t place = 0;
        for (const Piece& piece : pieces) {  // side by side without a gap
          EXPECT_EQ(piece.place, place);
          place += piece.range.count;
        }
        all += place;
      }
      EXPECT_EQ(all, of.gradient);
      ++compared;
    }
  EXPECT_EQ(compared, 10);
}

}  // namespace
}  // namespace tributary
