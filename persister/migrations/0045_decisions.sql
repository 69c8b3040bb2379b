-- What a script found before it decided, with the movement that came of it: the exact inputs by which each accepted order
-- can be explained. Only `place` has them, and only since this version; NULL elsewhere.
-- script: version of the text that decided. available: units of the product before the first order of the call.
-- buyer_limit: per buyer, 0 for none. used: {"buyer": units} of those who had some of a limited product already.

ALTER TABLE stock_movements
  ADD COLUMN script text,
  ADD COLUMN available bigint,
  ADD COLUMN buyer_limit bigint,
  ADD COLUMN used jsonb;
