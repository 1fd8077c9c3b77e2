// The pointwise part of one LSTM step, forward and backward, for all cells of a step. Same instructions for every cell, wherever it stands.
#pragma once

#include <cstdint>

namespace tributary {

// gates [rows, 4 width], order i, f, g, o: in, the sums before activation; out, activated. c_before, c, tanh_c, h [rows, width].
void lstm_cell_forward(std::int64_t rows, std::int64_t width, float* gates, const float* c_before, float* c, float* tanh_c, float* h);
void lstm_cell_forward(std::int64_t rows, std::int64_t width, double* gates, const double* c_before, double* c, double* tanh_c, double* h);

// gates as forward left them; dh: gradient of h; dc: in, gradient of c from the later step; out, of c_before. dgates [rows, 4 width]: of the sums.
void lstm_cell_backward(std::int64_t rows, std::int64_t width, const float* gates, const float* c_before, const float* tanh_c, const float* dh, float* dc,
                        float* dgates);
void lstm_cell_backward(std::int64_t rows, std::int64_t width, const double* gates, const double* c_before, const double* tanh_c, const double* dh, double* dc,
                        double* dgates);

}  // namespace tributary
